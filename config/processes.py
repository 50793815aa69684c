"""Child processes of `demo` and `up`: started, watched, and ended by their id."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

_STOP_SECONDS = 20


class ChildFailed(Exception):
    """A child ended by itself; the message names its log."""


class Processes:
    """Ends everything it started when the `with` block ends, the last started first."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Processes":
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, process in reversed(self._running):
            process.terminate()
        for _, process in reversed(self._running):
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(
        self, name: str, module: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        """Runs `python -m module…`, its output into a log of that name."""
        with self._log(name) as log:
            self._spawn(name, module, environment, stdout=log, stderr=log)

    def start_and_read(self, name: str, module: Sequence[str]) -> dict[str, str]:
        """The same for a child that tells where it is in its first line, as JSON."""
        with self._log(name) as log:
            process = self._spawn(name, module, None, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ChildFailed(self._epitaph(name))
        told: dict[str, str] = json.loads(line)
        return told

    def watch(self, *, seconds: float | None = None) -> None:
        """Returns after `seconds`, or never; raises ChildFailed when a child has ended."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            for name, process in self._running:
                if process.poll() is not None:
                    raise ChildFailed(self._epitaph(name))
            time.sleep(0.2)

    def _spawn(
        self,
        name: str,
        module: Sequence[str],
        environment: Mapping[str, str] | None,
        *,
        stdout: "int | IO[bytes]",
        stderr: IO[bytes],
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # Ctrl-C is for the parent; it ends its children itself, in order.
            start_new_session=True,
        )
        self._running.append((name, process))
        return process

    def _log(self, name: str) -> IO[bytes]:
        return (self._logs / f"{name}.log").open("ab")

    def _epitaph(self, name: str) -> str:
        return f"{name} ended; see {self._logs / name}.log"


def worker(*, threads: int = 8) -> list[str]:
    return [
        "celery", "-A", "config", "worker", "-P", "threads", "-c", str(threads),
        "-l", "INFO", "--without-gossip", "--without-mingle", "-n", "worker@%h",
    ]  # fmt: skip


def scheduler() -> list[str]:
    return ["celery", "-A", "config", "beat", "-l", "INFO", "--pidfile", ""]
