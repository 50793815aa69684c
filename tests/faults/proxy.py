"""A TCP proxy in front of a server's Unix socket, for what networks do to connections."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path


class Proxy:
    """`delay_seconds` holds every block back; `hole` swallows what is sent, in both directions.

    A connection that is made or open while `hole` is set looks alive and says nothing: half open.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.delay_seconds = 0.0
        self.hole = False
        self.port = 0

    def reset(self) -> None:
        """Ends every connection at once, the way a crashed machine does."""
        self._loop.call_soon_threadsafe(self._reset)

    def _reset(self) -> None:
        for writer in set(self._open):
            connection = writer.get_extra_info("socket")
            # One that has ended by itself is listed until its task has run.
            if connection.family == socket.AF_INET and connection.fileno() != -1:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inside, outside = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, outside}
        ways = [self._pass(reader, outside), self._pass(inside, writer)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for end in (writer, outside):
                self._open.discard(end)
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(65536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self.hole:
                    continue
                writer.write(block)
                await writer.drain()

    async def _listen(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    @contextlib.contextmanager
    def running(self) -> Iterator["Proxy"]:
        ready = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(self._listen(ready)), name="proxy", daemon=True
        )
        thread.start()
        ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)
