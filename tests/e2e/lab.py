"""Hosts with addresses of their own: network namespaces on one switch, cut off and joined again."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_NETWORK = "10.87.0"


@dataclass(frozen=True)
class Host:
    name: str
    address: str
    _switch: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is started, or listens, in the body does so on this host."""
        with Path("/proc/thread-self/ns/net").open() as outside:
            try:
                with Path("/run/netns", self.name).open() as network:
                    _enter(network.fileno())
                yield
            finally:
                _enter(outside.fileno())

    def cut_off(self) -> None:
        """As if the cable was pulled at the switch."""
        _ip("-n", self._switch, "link", "set", self.name, "down")

    def join(self) -> None:
        _ip("-n", self._switch, "link", "set", self.name, "up")


@contextmanager
def hosts(*names: str) -> Iterator[Sequence[Host]]:
    """Skips the test where namespaces can't be made."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("Needs root and ip (Debian: apt-get install iproute2).")
    with ExitStack() as made:
        switch = f"nt{os.getpid()}"
        _add_namespace(switch, made)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        yield [
            _add_host(Host(f"{switch}-{name}", f"{_NETWORK}.{number}", switch), made)
            for number, name in enumerate(names, start=1)
        ]


def _add_host(host: Host, made: ExitStack) -> Host:
    _add_namespace(host.name, made)
    in_switch = ("-n", host._switch, "link")
    _ip(*in_switch, "add", host.name, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip(*in_switch, "set", host.name, "master", "bridge", "up")
    _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.name, "link", "set", "eth0", "up")
    return host


def _add_namespace(name: str, made: ExitStack) -> None:
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"No network namespaces here: {error.stderr.strip()}")
    made.callback(_delete_namespace, name)
    _ip("-n", name, "link", "set", "lo", "up")


def _delete_namespace(name: str) -> None:
    with suppress(subprocess.CalledProcessError):
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
