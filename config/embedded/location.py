"""Where the embedded servers live and how they are reached: pure functions of the directory."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

DATABASE = "neis"
ROLE = "neis"
# Names the socket file only: nothing listens on TCP.
POSTGRES_PORT = "5432"
POSTGRES_SOCKET = f".s.PGSQL.{POSTGRES_PORT}"
REDIS_SOCKET = "redis.sock"

# The least that Linux (107) and macOS (103) accept for the path of a Unix socket.
SOCKET_PATH_BYTES = 103
# Not tempfile.gettempdir(): two processes with different TMPDIR must find the same server.
SHORT_PARENT = Path("/tmp")  # noqa: S108


def postgres_directory(root: Path) -> Path:
    return root / ".local" / "postgres"


def redis_directory(root: Path) -> Path:
    return root / ".local" / "redis"


def tag(directory: Path) -> str:
    """A name that no other directory's server has on this machine."""
    digest = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()
    return f"neis-timetable-{digest[:20]}"


def socket_directory(directory: Path) -> Path:
    """The directory of a server's socket: inside its own, else a short one named after it.

    A comma sends it outside too: PostgreSQL reads it as a separator of hosts.
    """
    inside = directory.resolve() / "run"
    longest = os.fsencode(inside / POSTGRES_SOCKET)
    if len(longest) <= SOCKET_PATH_BYTES and b"," not in longest:
        return inside
    return SHORT_PARENT / tag(directory)


def postgres_socket(directory: Path) -> Path:
    return socket_directory(directory) / POSTGRES_SOCKET


def redis_socket(directory: Path) -> Path:
    return socket_directory(directory) / REDIS_SOCKET


def postgres_connection(root: Path) -> dict[str, str]:
    """The keys of a Django database that say where it is."""
    return {
        "HOST": str(socket_directory(postgres_directory(root))),
        "PORT": POSTGRES_PORT,
        "NAME": DATABASE,
        "USER": ROLE,
    }


def database_url(root: Path) -> str:
    """The same for libpq: psql, pg_dump, psycopg."""
    host = quote(str(socket_directory(postgres_directory(root))), safe="")
    return f"postgresql://{ROLE}@/{DATABASE}?host={host}&port={POSTGRES_PORT}"


def redis_url(root: Path, db: int = 0) -> str:
    """For redis-py and Django's cache."""
    return f"unix://{quote(str(redis_socket(redis_directory(root))))}?db={db}"


def broker_url(root: Path, db: int = 0) -> str:
    """For Celery: kombu names Redis sockets in its own way."""
    return f"redis+socket://{quote(str(redis_socket(redis_directory(root))))}?virtual_host={db}"
