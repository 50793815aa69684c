"""The module that Django looks for in the ENGINE of a database."""

from typing import Any

from django.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Looks at what the pool hands out, in place of the pool's own check.

        A server that was restarted leaves only dead connections in the pool. psycopg_pool 3.3
        finds them one by one, and waits 1, 2, 4, … seconds after each: with five of them nobody
        gets a connection within 10 seconds.
        """
        connection = super().get_new_connection(conn_params)
        if self.pool:
            try:
                ConnectionPool.check_connection(connection)
            except OperationalError:
                self.pool.putconn(connection)
                self.pool.check()
                connection = super().get_new_connection(conn_params)
        return connection
