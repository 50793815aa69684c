"""Blocks of rows out of one snapshot."""

import time
from contextlib import closing
from itertools import islice

import pytest
from django.db import DataError
from psycopg import sql

from collection.exporting.snapshot import snapshot

pytestmark = pytest.mark.django_db(transaction=True)


def _copied(query: str) -> list[bytes]:
    with snapshot() as taken, closing(taken.copy(sql.SQL(query))) as blocks:  # type: ignore[arg-type]
        return [row for block in blocks for row in block]


def test_every_row_comes_once_and_in_order() -> None:
    rows = _copied("COPY (SELECT generate_series(1, 10000)) TO STDOUT (FORMAT csv)")
    assert rows == [f"{number}\n".encode() for number in range(1, 10_001)]


def test_an_error_of_the_server_in_the_middle_is_raised() -> None:
    with pytest.raises(DataError):
        _copied("COPY (SELECT 1 / (5000 - x) FROM generate_series(1, 9000) AS x) TO STDOUT")


def test_a_quiet_server_is_told_of_and_can_be_left() -> None:
    query = (
        "SELECT pg_sleep(CASE x WHEN 9000 THEN 30 ELSE 0 END), x FROM generate_series(1, 9000) x"
    )
    started = time.monotonic()
    with snapshot() as taken, closing(taken.copy(sql.SQL(f"COPY ({query}) TO STDOUT"))) as blocks:
        assert [] in islice(blocks, 10)
    assert time.monotonic() - started < 20
