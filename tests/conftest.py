"""Real parts for every test: PostgreSQL and Redis run, and nothing leaves this machine."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.utils import translation

from config import embedded


def pytest_configure() -> None:
    """Before pytest-django makes its database."""
    embedded.start(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)


@pytest.fixture(autouse=True)
def _no_state_between_tests() -> Iterator[None]:
    """The process's own client would keep the keys and limits of another test, and a request
    leaves its language behind."""
    from collection import upstream

    upstream.client.cache_clear()
    with translation.override("en"):
        yield
