"""The emulator: what it answers as NEIS, and the control desk under /_emulator/."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import orjson

from .answering import Answering, Question, Refusal, result
from .faults import HALVED, KINDS, REPEATED_PAGE, Fault, Faults, Reply
from .journal import Journal
from .keys import KeyDesk
from .server import Connection
from .wire import XML_TYPE
from .world import World

HUB = "/hub/"
DESK = "/_emulator/"


@dataclass
class Emulator:
    """One NEIS. `keys` are those it accepts; without faults every answer is right."""

    world: World
    keys: Sequence[str] = ("emulator-key",)
    daily_limit: int | None = None
    cache_megabytes: int = 512
    journal: Journal = field(default_factory=Journal)
    host: str = "127.0.0.1"
    base_url: str = ""

    def __post_init__(self) -> None:
        self.faults = Faults(self.world.seed)
        self.desk = KeyDesk(self.keys, self.world.clock, daily_limit=self.daily_limit)
        self._answering = Answering(self.world, cache_bytes=self.cache_megabytes * 1024 * 1024)

    async def listen(self, port: int) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self.handle, self.journal.begin, self.journal.end),
            self.host,
            port,
            backlog=512,
        )
        self.base_url = f"http://{self.host}:{server.sockets[0].getsockname()[1]}/hub"
        return server

    def handle(self, method: str, path: str, query: dict[str, str], body: bytes) -> Reply:
        if path.startswith(HUB) and method == "GET":
            return self._as_neis(Question(path.removeprefix(HUB), query))
        if path.startswith(DESK):
            return self._at_desk(method, path.removeprefix(DESK), query, body)
        return Reply(b"", 404)

    def _as_neis(self, question: Question) -> Reply:
        key: int | None = None
        try:
            key = self.desk.admit(question.parameters.get("KEY"))
            page = question.page if key is not None else 1
            fault = self.faults.choose(question, page)
            reply = self._right(self._as_changed(question, fault), with_key=key is not None)
            outcome = fault.kind if fault else "right"
            if fault:
                reply = KINDS[fault.kind](reply, fault, page)
        except Refusal as refusal:
            page, outcome = 0, refusal.code
            reply = self._dressed(question, result(question, refusal.code))
        self.journal.note(
            service=question.service,
            school=question.school_code,
            page=page,
            key=key,
            outcome=outcome,
        )
        return reply

    def _as_changed(self, question: Question, fault: Fault | None) -> Question:
        """Some faults answer another question: an earlier page, or half of the grades."""
        if fault and fault.kind == REPEATED_PAGE and question.page > 1:
            return replace(question, parameters={**question.parameters, "pIndex": "1"})
        if fault and fault.kind == HALVED:
            return replace(question, parameters={**question.parameters, "GRADE": "1"})
        return question

    def _right(self, question: Question, *, with_key: bool) -> Reply:
        return self._dressed(question, self._answering.page(question, with_key=with_key))

    def _dressed(self, question: Question, body: bytes) -> Reply:
        return Reply(body) if question.as_json else Reply(body, content_type=XML_TYPE)

    # --- The control desk ------------------------------------------------------------------

    def _at_desk(self, method: str, name: str, query: dict[str, str], body: bytes) -> Reply:
        try:
            settings = orjson.loads(body) if body else None
            answer = self._desk_answer(method, name, query, settings)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Reply(orjson.dumps({"error": f"{type(error).__name__}: {error}"}), 400)
        if answer is None:
            return Reply(b'{"error":"no such thing here"}', 404)
        return Reply(orjson.dumps(answer))

    def _desk_answer(self, method: str, name: str, query: dict[str, str], settings: Any) -> Any:
        match method, name:
            case "GET", "state":
                return self._state()
            case "PUT", "faults":
                self.faults.switch([Fault.of(item) for item in settings])
                return self._state()
            case "POST", "world":
                self._change_world(settings)
                return self._state()
            case "POST", "keys":
                self._change_keys(settings)
                return self._state()
            case "GET", "log":
                return self.journal.entries()
            case "DELETE", "log":
                self.journal.clear()
                return self._state()
            case "GET", "truth":
                monday = date.fromisoformat(query["monday"])
                return self.world.truth(query["office"], query["school"], monday)
            case "GET", "schools":
                return [
                    {"office": s.office_code, "school": s.school_code, "service": s.service}
                    for s in self.world.schools
                ]
        return None

    def _state(self) -> dict[str, Any]:
        return {
            "now": self.world.clock.now().isoformat(),
            "revision": self.world.revision,
            "schools": len(self.world.schools),
            "faults": [fault.as_json() for fault in self.faults.active],
            "calls": self.desk.calls(),
            **self.journal.summary(),
        }

    def _change_world(self, settings: dict[str, Any]) -> None:
        world = self.world
        if "now" in settings:
            world.clock.set(datetime.fromisoformat(settings["now"]))
        if "closed" in settings:
            world.closed = frozenset(settings["closed"])
        for name in ("revision", "list_fraction", "vacation", "late_publishers"):
            if name in settings:
                setattr(world, name, settings[name])

    def _change_keys(self, settings: dict[str, Any]) -> None:
        if "daily_limit" in settings:
            self.desk.daily_limit = settings["daily_limit"]
        for name in ("blocked", "revoked"):
            if name in settings:
                setattr(self.desk, name, set(settings[name]))
        if settings.get("forget_calls"):
            self.desk.forget_calls()


@contextmanager
def running(emulator: Emulator, *, port: int = 0) -> Iterator[Emulator]:
    """Runs it on a thread of its own; `base_url` is set when the body begins."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await emulator.listen(port)
        ready.set()
        async with server:
            await server.serve_forever()

    def work() -> None:
        try:
            loop.run_until_complete(serving)
        except asyncio.CancelledError:
            pass
        finally:
            _finish(loop)

    serving = loop.create_task(serve())
    thread = threading.Thread(target=work, name="neis-emulator", daemon=True)
    thread.start()
    ready.wait(timeout=10)
    try:
        yield emulator
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(timeout=10)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
