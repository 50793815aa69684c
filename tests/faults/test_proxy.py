"""What the proxy does to a connection, with a server that echoes."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_echo, args=[server], daemon=True).start()
        with Proxy(path).running() as running:
            yield running


def _echo(server: socket.socket) -> None:
    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while block := connection.recv(1024):
                    connection.sendall(block)
            except OSError:
                pass

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=[connection], daemon=True).start()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        connection.sendall(b"hello")
        assert connection.recv(10) == b"hello"
        yield connection


def test_answer_is_late_when_there_is_a_delay(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay_seconds = 0.1
    begun = time.monotonic()
    client.sendall(b"again")

    assert client.recv(10) == b"again"
    assert time.monotonic() - begun >= 0.2


def test_connection_says_nothing_when_there_is_a_hole(proxy: Proxy, client: socket.socket) -> None:
    proxy.hole = True
    client.sendall(b"lost")
    client.settimeout(0.3)

    with pytest.raises(TimeoutError):
        client.recv(10)


def test_connection_ends_at_once_when_it_is_reset(proxy: Proxy, client: socket.socket) -> None:
    proxy.reset()

    with pytest.raises(ConnectionResetError):
        client.recv(10)
