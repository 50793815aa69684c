"""One snapshot of the database on a connection of its own, read for as long as it takes.

Of its own: the caller goes on writing its progress while the rows stream.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from collection.own_connection import unpooled

# PostgreSQL sends one message for each row; this many are joined before anything is done to them.
_ROWS_IN_BLOCK = 4096


class Snapshot:
    def __init__(self, wrapper: BaseDatabaseWrapper) -> None:
        self._wrapper = wrapper
        ((taken_at,),) = self.fetch(sql.SQL("SELECT now()"))
        self.taken_at: datetime = taken_at

    def fetch(self, statement: sql.Composable) -> list[tuple[Any, ...]]:
        with self._wrapper.cursor() as cursor:
            cursor.execute(statement)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def copy(self, statement: sql.Composable) -> Iterator[list[bytes]]:
        """Blocks of whole rows, each row ended by LF. Closing the iterator stops the server."""
        with (
            self._wrapper.wrap_database_errors,
            self._wrapper.cursor() as cursor,
            cursor.copy(statement) as stream,
        ):
            # As bytes: of memoryviews the garbage collector would keep track.
            messages = map(bytes, stream)
            while rows := list(islice(messages, _ROWS_IN_BLOCK)):
                yield rows


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    own = unpooled()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            # The order is that of the primary key. A sort would keep the first row waiting until
            # the last was read.
            cursor.execute("SET LOCAL enable_sort = off")
        yield Snapshot(own)
    finally:
        with suppress(Error):
            own.rollback()
        own.close()
