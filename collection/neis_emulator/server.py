"""HTTP/1.1 by hand: faults need the bare connection."""

import asyncio
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from .faults import Reply, Way

Handle = Callable[[str, str, dict[str, str], bytes], Reply]
"""Method, path, query and body to a reply."""

_END_OF_HEAD = b"\r\n\r\n"
_DRIP_SECONDS = 1.0


class Connection(asyncio.Protocol):
    """One client; its requests are answered in turn."""

    def __init__(self, handle: Handle, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._handle = handle
        self._begin = begin
        self._end = end
        self._received = b""
        self._busy: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=4 * 1024 * 1024)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if self._busy is not None:
            self._busy.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next()

    def _next(self) -> None:
        if self._busy is not None:
            return
        head, found, rest = self._received.partition(_END_OF_HEAD)
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        length = _content_length(lines)
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, target, _ = lines[0].split(" ", 2)
        self._answer(method, target, rest[:length])

    def _answer(self, method: str, target: str, body: bytes) -> None:
        self._begin()
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        reply = self._handle(method, unquote(parts.path), query, body)
        if reply.way is Way.WHOLE and not reply.delay_seconds and reply.repeat == 1:
            self._transport.write(_head(reply) + reply.body)
            self._end()
            self._next()
            return
        self._busy = asyncio.get_running_loop().create_task(self._send(reply))

    async def _send(self, reply: Reply) -> None:
        try:
            await asyncio.sleep(reply.delay_seconds)
            await self._deliver(reply)
        finally:
            self._end()
            self._busy = None
        self._next()

    async def _deliver(self, reply: Reply) -> None:
        transport = self._transport
        match reply.way:
            case Way.RESET:
                # With no time to linger the kernel sends RST in place of an orderly end.
                linger = struct.pack("ii", 1, 0)
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                transport.abort()
            case Way.SILENT:
                await asyncio.Event().wait()
            case Way.HEADERS_ONLY:
                transport.write(_head(reply))
                await asyncio.Event().wait()
            case Way.CUT:
                transport.write(_head(reply) + reply.body[: len(reply.body) // 2])
                transport.close()
            case Way.DRIP:
                transport.write(_head(reply))
                await self._drip(reply.body)
            case Way.DRIP_HEAD:
                await self._drip(_head(reply))
                transport.write(reply.body)
            case Way.WHOLE:
                transport.write(_head(reply))
                for _ in range(reply.repeat):
                    await self._writable.wait()
                    if transport.is_closing():
                        return
                    transport.write(reply.body)

    async def _drip(self, data: bytes) -> None:
        for position in range(len(data)):
            self._transport.write(data[position : position + 1])
            await asyncio.sleep(_DRIP_SECONDS)


def _content_length(lines: list[str]) -> int:
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            return int(value)
    return 0


def _head(reply: Reply) -> bytes:
    headers = [
        ("Content-Type", reply.content_type),
        ("Content-Length", str(len(reply.body) * reply.repeat)),
        *reply.headers,
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    reason = HTTPStatus(reply.status).phrase
    return f"HTTP/1.1 {reply.status} {reason}\r\n{lines}\r\n".encode("latin-1")
