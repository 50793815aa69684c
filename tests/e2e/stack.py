"""The product as it is run: commands and workers as processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from django.conf import settings
from django.db import connection

from config import embedded

KEY = "SENTINEL/KEY+123"
"""Not safe in an address as it is, so that its encoded form is looked for too."""


@dataclass
class Stack:
    """Everything writes into `folder`; nothing outlives the `with` of `running`."""

    folder: Path
    base_url: str
    settings: dict[str, str] = field(default_factory=dict)
    on_host: Callable[[], AbstractContextManager[None]] = nullcontext
    manage_program: tuple[str, ...] = ("manage.py",)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _commands: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._redis_server = embedded.Redis(self.folder / "redis", appendonly="no")

    @property
    def redis_server(self) -> embedded.Redis:
        return self._redis_server

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self._redis_server.socket))

    @property
    def environment(self) -> dict[str, str]:
        database = connection.settings_dict
        socket = str(self._redis_server.socket)
        host, port = quote(str(database["HOST"]), safe=""), database["PORT"]
        return {
            **os.environ,
            "DATABASE_URL": f"postgres://{database['USER']}@{host}:{port}/{database['NAME']}",
            "REDIS_URL": f"unix://{socket}?db=0",
            "CELERY_BROKER_URL": f"redis+socket://{socket}?virtual_host=0",
            "SECRET_KEY": "for-tests-only",
            "LANGUAGE_CODE": "en",
            "NEIS_BASE_URL": self.base_url,
            "NEIS_API_KEYS": KEY,
            "NEIS_REQUESTS_PER_SECOND": "0",
            "NEIS_TIMEOUT_SECONDS": "2",
            "FETCH_DEADLINE_SECONDS": "8",
            "FETCH_LEASE_SECONDS": "10",
            "FETCH_RETRY_SECONDS": "0.3",
            "FETCH_MAX_FAILURES": "6",
            "REPUBLISH_SECONDS": "3",
            "LOG_LEVEL": "DEBUG",
            **self.settings,
        }

    def start_worker(
        self, name: str = "worker", threads: int = 8, pool: str = "threads"
    ) -> subprocess.Popen[bytes]:
        return self._start(name, ["celery", "-A", "config", "worker", "-P", pool,
                                  "-c", str(threads), "-l", self.environment["LOG_LEVEL"],
                                  "-n", f"{name}@test", "--without-gossip",
                                  "--without-mingle"])  # fmt: skip

    def start_scheduler(self, name: str = "beat") -> subprocess.Popen[bytes]:
        return self._start(name, ["celery", "-A", "config", "beat", "-l", "INFO",
                                  "--pidfile", ""])  # fmt: skip

    def start_console(self) -> str:
        """The address of a console that answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._start("web", ["gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}",
                            "--threads", "4"])  # fmt: skip
        wait_until(lambda: _listens(port), seconds=60)
        return f"http://127.0.0.1:{port}"

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop_redis(self) -> None:
        self._redis_server.stop()

    def start_redis(self) -> None:
        self._redis_server.start()

    def _start(self, name: str, module: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log, self.on_host():
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command of manage.py that goes on while the test does something else."""
        with self.on_host():
            command = subprocess.Popen(
                [sys.executable, *self.manage_program, *arguments],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._commands.append(command)
        return command

    def manage(self, *arguments: str, expect: int = 0, timeout: float = 100) -> str:
        """Runs a command to its end, keeps what it printed, and returns standard output."""
        out, err = (process := self.begin(*arguments)).communicate(timeout=timeout)
        with (self.folder / "commands.log").open("a") as log:
            log.write(out + err)
        assert process.returncode == expect, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return out

    def collect(self, *arguments: str, expect: int = 0, timeout: float = 100) -> dict[str, Any]:
        return report(self.manage("collect", *arguments, "--json", expect=expect, timeout=timeout))

    def start(self) -> None:
        self._redis_server.start()

    def stop(self) -> None:
        for command in self._commands:
            if command.poll() is None:
                command.kill()
                command.communicate()
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._redis_server.stop()


@contextmanager
def running(folder: Path, base_url: str, **overrides: str) -> Iterator[Stack]:
    stack = Stack(folder, base_url, overrides)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def report(out: str) -> dict[str, Any]:
    """The last line of standard output."""
    told: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return told


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not come about in time."
        time.sleep(0.05)
