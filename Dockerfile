# One image for every part: the command says which. See docs/deploy.md.
FROM python:3.12-slim-bookworm AS built
WORKDIR /app
COPY requirements/base.txt requirements/base.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/base.txt

FROM python:3.12-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 EXPORTS_DIRECTORY=/exports
RUN useradd --system --uid 10001 neis && install -d -o neis /exports
WORKDIR /app
COPY --from=built /venv /venv
COPY manage.py pyproject.toml ./
COPY config config
COPY collection collection
COPY dashboard dashboard
COPY templates templates
COPY static static
COPY locale locale
USER 10001
EXPOSE 8000
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000", "--threads", "8", "--workers", "2"]
