"""PostgreSQL and Redis of the harness alone: they can be killed, frozen and restarted empty."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings

from config import embedded

ROLE = "neis"
_TEMPLATE = "migrated"

# What really happened to fetches and runs, noted by the database itself.
_WITNESS = """
CREATE SCHEMA witness;
CREATE TABLE witness.fetches (
    fetch_id bigint, attempt int, old text, new text, at timestamptz DEFAULT clock_timestamp()
);
CREATE TABLE witness.runs (
    run_id bigint, old text, new text, at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION witness.note_fetch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO witness.fetches VALUES (NEW.id, NEW.attempt, OLD.state, NEW.state);
    RETURN NULL;
END $$;
CREATE FUNCTION witness.note_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO witness.runs VALUES (NEW.id, OLD.state, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER UPDATE OF state ON collection_schoolfetch FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION witness.note_fetch();
CREATE TRIGGER witness AFTER UPDATE OF state ON collection_run FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION witness.note_run();
"""


class Database:
    """One database, asked as the superuser and past any proxy; connects anew after an outage."""

    def __init__(self, server: embedded.Postgres, name: str) -> None:
        self._server = server
        self.name = name
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def url(self) -> str:
        host = str(self._server.run).replace("/", "%2F")
        return f"postgres://{ROLE}@{host}:5432/{self.name}"

    def connect(self, user: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self._server.run),
            port=5432,
            user=user,
            dbname=self.name,
            autocommit=True,
            connect_timeout=5,
            application_name="witness",
            **options,
        )

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Raises psycopg.OperationalError while the server is away."""
        for _ in range(2):
            if self._connection is None or self._connection.closed:
                self._connection = self.connect()
            try:
                cursor = self._connection.execute(statement, parameters or None)
            except psycopg.OperationalError:
                self._connection.close()
                continue
            return cursor.fetchall() if cursor.description else []
        raise psycopg.OperationalError("The server is away.")

    def value(self, statement: str, *parameters: Any) -> Any:
        return self.rows(statement, *parameters)[0][0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Postgres:
    """One server for many scenarios, each of which gets a database of its own."""

    def __init__(self, folder: Path) -> None:
        # Processes are killed here, never the machine: nothing needs to reach the disk.
        self.server = embedded.Postgres(folder, fsync="off", shared_buffers="64MB")
        self._made = 0

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def prepare(self) -> None:
        """Starts the server and makes the template that every scenario begins with."""
        self.start()
        self._execute(f"CREATE DATABASE {_TEMPLATE} OWNER {ROLE}")
        template = Database(self.server, _TEMPLATE)
        environment = {
            **os.environ,
            "DATABASE_URL": template.url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "SECRET_KEY": "for-tests-only",
        }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"],
            cwd=settings.BASE_DIR,
            env=environment,
            check=True,
        )
        template.rows(_WITNESS)
        template.close()

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        self.start()
        self._made += 1
        name = f"scenario_{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} OWNER {ROLE}")
        database = Database(self.server, name)
        try:
            yield database
        finally:
            database.close()
            self.thaw()
            self.start()
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def crash(self) -> None:
        """As an immediate shutdown: every backend ends in the middle, the log is replayed."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        pid = self.server.pid
        if pid is not None:
            postmaster = psutil.Process(pid)
            postmaster.send_signal(number)
            psutil.wait_procs([postmaster], timeout=10)

    def _signal_all(self, number: signal.Signals) -> None:
        pid = self.server.pid
        if pid is None:
            return
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            # A backend ends whenever its client does.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _execute(self, statement: str) -> None:
        administration = Database(self.server, "postgres")
        administration.rows(statement)
        administration.close()


class Redis:
    """The broker of one scenario. It keeps nothing on disk: a restart is an empty one."""

    def __init__(self, server: embedded.Redis) -> None:
        self.server = server
        self._frozen: int | None = None

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def restart(self) -> None:
        self.server.start()

    def freeze(self) -> None:
        self._frozen = self.server.pid
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._frozen is not None:
            os.kill(self._frozen, signal.SIGCONT)
            self._frozen = None

    def _signal(self, number: signal.Signals) -> None:
        pid = self.server.pid
        assert pid is not None, "Redis does not run."
        os.kill(pid, number)
