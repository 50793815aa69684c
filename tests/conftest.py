"""Real parts for every test: PostgreSQL and Redis run, and nothing leaves this machine.

The processes of pytest-xdist have a database of each of their own.
"""

import os
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.utils import translation

from config import embedded


def pytest_configure() -> None:
    """Before pytest-django makes its database."""
    embedded.start(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)
    # From the last one down: the first is that of a console that runs from the same folder.
    number = 15 - int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    settings.REDIS_URL = settings.REDIS_URL.replace("?db=0", f"?db={number}")
    settings.CELERY_BROKER_URL = settings.CELERY_BROKER_URL.replace(
        "?virtual_host=0", f"?virtual_host={number}"
    )


@pytest.fixture(autouse=True)
def _no_state_between_tests() -> Iterator[None]:
    """The process's own client would keep the keys and limits of another test, and a request
    leaves its language behind."""
    from collection import upstream

    upstream.client.cache_clear()
    with translation.override("en"):
        yield
