"""One snapshot of the database on a connection of its own, read for as long as it takes.

Of its own: the caller goes on writing its progress while the rows stream.
"""

import select
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from collection.own_connection import unpooled

# PostgreSQL sends one message for each row; this many are joined before anything is done to them.
_ROWS_IN_BLOCK = 4096
_QUIET_MILLISECONDS = 1000


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

    def copy(self, statement: sql.Composable) -> Generator[list[bytes]]:
        """Blocks of whole rows, each row ended by LF; an empty one when the server is quiet.

        Closing the iterator stops the server.
        """
        with (
            self._wrapper.wrap_database_errors,
            self._wrapper.cursor() as cursor,
            cursor.copy(statement),
        ):
            yield from _blocks(cursor.connection.pgconn)


def _blocks(server: PGconn) -> Iterator[list[bytes]]:
    """What iterating over psycopg's Copy does, at half of its cost for each row."""
    readable = select.poll()
    readable.register(server.socket, select.POLLIN)
    rows: list[bytes] = []
    while True:
        size, row = server.get_copy_data(1)
        if size > 0:
            # As bytes: of memoryviews the garbage collector would keep track.
            rows.append(bytes(row))
            if len(rows) == _ROWS_IN_BLOCK:
                yield rows
                rows = []
        elif size == 0:
            if not readable.poll(_QUIET_MILLISECONDS):
                yield []
            server.consume_input()
        else:
            break
    if rows:
        yield rows
    # All of them: until then the connection counts as busy.
    for result in list(iter(server.get_result, None)):
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)


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
