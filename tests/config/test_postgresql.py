"""The pool of connections when the server was restarted, or away for a while."""

import time
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from config import embedded
from config.postgresql.base import DatabaseWrapper
from tests.collection.ledger import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_is_there_at_once_when_the_server_is_back(tmp_path: Path) -> None:
    server = embedded.Postgres(tmp_path / "postgres", fsync="off")
    server.start()
    place = {"HOST": str(server.run), "PORT": "5432", "NAME": "postgres", "USER": "postgres"}
    elsewhere = DatabaseWrapper({**connection.settings_dict, **place}, alias="elsewhere")
    try:
        elsewhere.ensure_connection()
        elsewhere.close()
        server.stop()
        with pytest.raises(OperationalError):
            # Ten seconds: the time-out of the pool.
            elsewhere.ensure_connection()
        server.start()

        begin = time.monotonic()
        elsewhere.ensure_connection()
        assert time.monotonic() - begin < 2
    finally:
        elsewhere.close()
        elsewhere.close_pool()
        server.stop()


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
