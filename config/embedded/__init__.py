"""PostgreSQL and Redis run from the clone, for when no outside servers are configured.

Settings import this before Django is configured, so nothing here may know Django.
"""

from pathlib import Path

from .errors import EmbeddedServiceError
from .location import (
    broker_url,
    database_url,
    postgres_connection,
    postgres_directory,
    redis_directory,
    redis_url,
)
from .ownership import refuse_foreign
from .postgres import Postgres
from .redis import Redis
from .server import Server, Status

__all__ = [
    "NAMES",
    "EmbeddedServiceError",
    "Postgres",
    "Redis",
    "Server",
    "Status",
    "broker_url",
    "database_url",
    "postgres_connection",
    "redis_url",
    "servers",
    "start",
    "status",
    "stop",
]

NAMES = frozenset({"postgres", "redis"})


def servers(root: Path, *, names: frozenset[str] = NAMES) -> list[Server]:
    """The servers of the clone at `root`, running or not.

    Raises EmbeddedServiceError when another user has started them.
    """
    refuse_foreign(root / ".local")
    known = {
        "postgres": Postgres(postgres_directory(root)),
        "redis": Redis(redis_directory(root)),
    }
    return [known[name] for name in sorted(names)]


def start(root: Path, *, names: frozenset[str] = NAMES) -> list[Status]:
    """Starts what does not run yet and returns once all of it answers.

    Raises EmbeddedServiceError for the first that can't be started.
    """
    for server in servers(root, names=names):
        server.start()
    return status(root, names=names)


def stop(root: Path, *, names: frozenset[str] = NAMES) -> list[Status]:
    for server in servers(root, names=names):
        server.stop()
    return status(root, names=names)


def status(root: Path, *, names: frozenset[str] = NAMES) -> list[Status]:
    return [server.status() for server in servers(root, names=names)]
