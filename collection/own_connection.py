"""A connection to PostgreSQL that is nobody else's."""

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper


def unpooled() -> BaseDatabaseWrapper:
    """Outside the pool: a session's lock must not go back into it, and a process that forks while
    a thread holds the pool's mutex would hand its children a pool that is locked for ever."""
    own: BaseDatabaseWrapper = connections[DEFAULT_DB_ALIAS].copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    own.settings_dict["CONN_HEALTH_CHECKS"] = True
    return own
