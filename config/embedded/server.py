"""The life of an embedded server: one directory, one process, found again by whoever asks.

<directory>/data   what it stores, and its working directory
<directory>/run    its socket, unless the path is too long (see location.py)
<directory>/log    all it prints
<directory>/lock   held by whoever starts or stops it
"""

import contextlib
import fcntl
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from . import process
from .errors import EmbeddedServiceError
from .identity import ENVIRONMENT, Identity
from .location import socket_directory, tag
from .ownership import make_private, refuse_foreign

POLL_SECONDS = 0.03
LOG_LINES_SHOWN = 15
LOG_BYTES_KEPT = 10_000_000


@dataclass(frozen=True)
class Status:
    name: str
    is_running: bool
    pid: int | None
    socket: Path


class Server(ABC):
    name: ClassVar[str]
    program: ClassVar[str]
    # Sent in this order, each with the seconds to wait for it.
    stop_signals: ClassVar[dict[signal.Signals, float]]
    # Replaying the log after a crash takes its time.
    start_timeout_seconds: float = 300.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.run = socket_directory(self.directory)

    @property
    @abstractmethod
    def socket(self) -> Path: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes commands right now."""

    @abstractmethod
    def _prepare(self, lock: IO[str]) -> Identity:
        """Makes the data directory ready for a start; says as whom the server runs."""

    @abstractmethod
    def _command(self) -> list[str]:
        """With the tag in it, and in the title of every process that comes of it."""

    @abstractmethod
    def _settle(self) -> None:
        """What is to be done each time the server has come up."""

    @property
    def pid(self) -> int | None:
        return process.find_listener(self.socket) or None

    @property
    def tag(self) -> str:
        """Marks the server's processes; the directory must exist.

        With the directory's own numbers, as the same path can be another clone's in a container
        whose processes are seen from here.
        """
        found = self.directory.stat()
        return f"{tag(self.directory)}-{found.st_dev:x}-{found.st_ino:x}"

    def is_running(self) -> bool:
        return self.answers()

    def status(self) -> Status:
        refuse_foreign(self.directory)
        return Status(self.name, self.is_running(), self.pid, self.socket)

    def start(self) -> None:
        """Starts it unless it runs, and returns once it answers; safe to call at any time.

        Raises EmbeddedServiceError, with the end of the log, when it does not come up.
        """
        self._claim()
        with self._locked() as lock:
            if not self.answers():
                self._wait_until_ready(self.pid or self._launch(lock))
            self._settle()

    def stop(self) -> None:
        """Ends it and returns once it is gone; nothing that it accepted is lost."""
        if not self.directory.exists():
            return
        self._claim()
        with self._locked():
            self._refuse_elsewhere()
            if pid := self.pid:
                self._end(pid)
            self._end_strays()
            self._remove_short_directory()

    def _launch(self, lock: IO[str]) -> int:
        self._refuse_elsewhere()
        self._end_strays()
        identity = self._prepare(lock)
        self.socket.unlink(missing_ok=True)
        self._rotate_log()
        with self.log.open("ab") as log:
            launched = subprocess.run(
                identity.wrap(self._command(), mode="detach"),
                cwd=self.data,
                env=ENVIRONMENT,
                stdin=lock,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
            )
        if launched.returncode != 0:
            raise self._failure("cannot be started")
        return int(launched.stdout)

    def _wait_until_ready(self, pid: int) -> None:
        deadline = time.monotonic() + self.start_timeout_seconds
        while not self.answers():
            if not process.is_alive(pid):
                raise self._failure("ended before it answered")
            if time.monotonic() > deadline:
                raise self._failure(f"does not answer after {self.start_timeout_seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def _failure(self, what: str) -> EmbeddedServiceError:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        tail = "\n".join(f"    {line}" for line in lines)
        return EmbeddedServiceError(f"{self.name} {what}; the end of its log {self.log}:\n{tail}")

    def _end_strays(self) -> None:
        """Ends what a killed server left behind, or a server whose socket was deleted.

        Both would keep a new one from the data.
        """
        for pid in sorted(process.find_tagged(self.tag, program=self.program)):
            self._end(pid)

    def _end(self, pid: int) -> None:
        if not process.end(pid, signals=self.stop_signals):
            raise self._failure(f"(process {pid}) does not end")

    def _refuse_elsewhere(self) -> None:
        """Two servers on the same data would ruin it, and one in another container is unseen."""
        if process.find_listener(self.socket) == 0:
            raise EmbeddedServiceError(
                f"{self.name} in {self.directory} runs in another container; stop it there."
            )

    def _claim(self) -> None:
        make_private(self.directory)
        make_private(self.run)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        with (self.directory / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_KEPT:
            self.log.replace(self.log.with_name("log.1"))

    def _remove_short_directory(self) -> None:
        if self.run.parent != self.directory:
            with contextlib.suppress(OSError):
                self.run.rmdir()
