"""Connections that read no longer than until a time that was set for the whole request.

http.client and urllib3 bound each read by itself: a server that sends a byte now and then would
hold a thread for as long as it likes. Neither hands an absolute time down to the socket, so it
travels in a context variable.
"""

import http.client
import io
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_end: ContextVar[float] = ContextVar("end of the request")


@contextmanager
def reading_until(end: float) -> Iterator[None]:
    """Inside, reads through an EndingAdapter time out at `end`, a time of time.monotonic()."""
    token = _end.set(end)
    try:
        yield
    finally:
        _end.reset(token)


class EndingAdapter(HTTPAdapter):
    """Serves requests made inside `reading_until` only."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Reader(io.RawIOBase):
    """The socket's own reader, which waits no longer than its timeout and never past the end."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._most_seconds = sock.gettimeout() or math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _end.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError("The time for this request is over.")
        self._sock.settimeout(min(left, self._most_seconds))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._raw.close()


class _Response(http.client.HTTPResponse):
    """Head and body, in the clear and over TLS, are read through one file."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
