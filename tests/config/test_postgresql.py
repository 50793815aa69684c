"""The pool of connections when the server was restarted."""

import time

import pytest
from django.db import connection

from tests.collection.ledger import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_is_there_at_once_when_all_of_the_pool_have_died() -> None:
    at_once(lambda number: None, times=6)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        assert cursor.fetchone()[0] >= 5

    begin = time.monotonic()
    assert at_once(lambda number: number, times=1) == [0]
    assert time.monotonic() - begin < 3
