"""A tiny HTTP server on the loopback that sends whatever bytes a test wants, when it wants."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request; `number` counts from 1."""

    number: int
    service: str
    query: dict[str, str]

    @property
    def page(self) -> int:
        return int(self.query["pIndex"])

    @property
    def key(self) -> str | None:
        return self.query.get("KEY")


Answering = Callable[[Asked], Iterable[bytes]]


class HangUp(Exception):
    """Raised between the bytes of an answer: the connection is closed there."""


@dataclass
class Server:
    """`asked` is every request so far. `gone` is set when the test is over."""

    answer: Answering
    port: int = 0
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hub"

    def note(self, target: str) -> Asked:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            asked = Asked(len(self.asked) + 1, parts.path.removeprefix("/hub/"), query)
            self.asked.append(asked)
        return asked


def reply(
    body: bytes = b"",
    *,
    status: int = 200,
    content_type: str = "application/json;charset=UTF-8",
    length: int | None = None,
    **headers: str,
) -> list[bytes]:
    """A plain answer. `length` is what the head says, where that is not the truth."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode(), body]


@contextmanager
def serving(answer: Answering, *, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answer, scheme="https" if tls else "http")

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if tls:
                self.request = tls.wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            # A client that gave up is part of the tests.
            with suppress(OSError, HangUp):
                while self._answer_one():
                    pass

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()
            self.request.close()

        def _answer_one(self) -> bool:
            line = self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            if not line:
                return False
            for chunk in server.answer(server.note(line.split()[1].decode())):
                self.wfile.write(chunk)
            return True

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 64

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.gone.set()
            listener.shutdown()
            thread.join()
