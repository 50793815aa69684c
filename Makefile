# Every target installs what it needs: a fresh clone needs Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo up test faults bench check audit format messages requirements

demo: $(VENV)/.installed
	$(RUN) manage.py demo

up: $(VENV)/.installed
	$(RUN) manage.py up

test: $(VENV)/.installed-dev
	$(RUN) -m pytest -n logical

# ARGS="F02 --seed 7", ARGS=--controls, ARGS="--soak 30"
faults: $(VENV)/.installed-dev
	$(RUN) -m tests.faults $(ARGS)

test-long: $(VENV)/.installed-dev
	$(RUN) -m pytest -m long

bench: $(VENV)/.installed-dev
	$(RUN) -m tests.bench

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) manage.py services start
	$(RUN) manage.py makemigrations --check --dry-run

audit: $(VENV)/.installed-dev
	$(VENV)/bin/pip-audit --require-hashes --disable-pip -r requirements/base.txt

format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

messages: $(VENV)/.installed-dev
	$(RUN) manage.py makemessages --locale ko --no-location --no-obsolete
	$(RUN) manage.py compilemessages --ignore $(VENV)

requirements: $(VENV)/.installed-dev
	cd requirements && for name in base dev; do \
		../$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-emit-find-links \
			--custom-compile-command "make requirements" $$name.in -o $$name.txt; \
	done

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/base.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	touch $@

$(VENV)/.installed-dev: requirements/dev.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@ $(VENV)/.installed
