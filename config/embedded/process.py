"""Which processes are ours: found by socket and title, never by a number from a file."""

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CONNECT_TIMEOUT_SECONDS = 2.0
POLL_SECONDS = 0.02
# sys/un.h of macOS; the socket module has no names for them.
SOL_LOCAL = 0
LOCAL_PEERPID = 2


def find_listener(socket_path: Path) -> int | None:
    """The process that listens on the socket, as the kernel knows it.

    None when nobody does; 0 when it lives in another container and has no number here.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_TIMEOUT_SECONDS)
        try:
            client.connect(str(socket_path))
            return _peer_pid(client)
        except OSError:
            return None


def _peer_pid(client: socket.socket) -> int:
    if sys.platform == "darwin":
        return client.getsockopt(SOL_LOCAL, LOCAL_PEERPID)
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def find_tagged(tag: str, *, program: str) -> Iterator[int]:
    """Processes of this program that bear the tag in their title; none where /proc is missing.

    The title, because it is the one mark that can be seen everywhere: in a container, root may
    not look at the working directory of another account's process.
    """
    for entry in Path("/proc").glob("[0-9]*"):
        # Those that have ended meanwhile, and those of others.
        with contextlib.suppress(OSError):
            name, title = (entry / "comm").read_text(), (entry / "cmdline").read_bytes()
            if name.strip() == program and tag.encode() in title:
                yield int(entry.name)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that waits only to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def end(pid: int, *, signals: dict[signal.Signals, float]) -> bool:
    """Sends each signal in turn and waits its number of seconds; true once the process is gone."""
    for number, patience_seconds in signals.items():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        if _wait_until_gone(pid, patience_seconds):
            return True
    return False


def _wait_until_gone(pid: int, patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
