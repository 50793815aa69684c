"""Faults inside the product's own processes, put there by wrapping its functions.

Nothing of the product knows of this: `tests.faults.app` and `tests.faults.manage` install it, as
FAULTS_TRAPS (a JSON list of traps) and FAULTS_OFF (names of guards to switch off) say.
"""

import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_here = threading.local()

POINTS = (
    "received", "after_claim", "after_first_page", "after_last_page", "after_fence",
    "after_delete", "after_copy", "before_commit", "after_commit",
)  # fmt: skip
"""In the order in which a fetch passes them. `received` is before the acknowledgement."""


@dataclass(frozen=True)
class Trap:
    """What happens to a process that comes to a point with one of the schools."""

    at: str
    do: str = "kill"
    """kill, stop (SIGSTOP, until somebody continues it), or wait:SECONDS."""
    schools: tuple[str, ...] = ()
    """None: any school."""
    times: int = 1
    """For each school, or in all when there are none named; 0: every time."""

    def __str__(self) -> str:
        return f"{self.at}-{self.do.partition(':')[0]}"


def environment(folder: Path, traps: list[Trap], off: list[str]) -> dict[str, str]:
    return {
        "FAULTS_FOLDER": str(folder),
        "FAULTS_TRAPS": json.dumps([asdict(trap) for trap in traps]),
        "FAULTS_OFF": ",".join(off),
    }


def install() -> None:
    """Call it once Django is set up."""
    from tests.faults import controls

    folder = os.environ.get("FAULTS_FOLDER")
    if not folder:
        return
    _Traps(Path(folder), json.loads(os.environ["FAULTS_TRAPS"])).install()
    for name in filter(None, os.environ["FAULTS_OFF"].split(",")):
        controls.OFF[name]()


class _Traps:
    def __init__(self, folder: Path, traps: list[dict[str, Any]]) -> None:
        self._folder = folder
        self._traps = [Trap(**{**trap, "schools": tuple(trap["schools"])}) for trap in traps]

    def reach(self, point: str) -> None:
        school = getattr(_here, "school", "")
        for trap in self._traps:
            if trap.at == point and (not trap.schools or school in trap.schools):
                self._spring(trap, school)

    def _spring(self, trap: Trap, school: str) -> None:
        if not self._take(trap, school if trap.schools else "any"):
            return
        if trap.do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif trap.do == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            time.sleep(float(trap.do.partition(":")[2]))

    def _take(self, trap: Trap, school: str) -> bool:
        """A trap springs so many times over all processes: each time is a file of its own."""
        for number in range(trap.times or 10_000):
            path = self._folder / f"sprung-{trap}-{school}-{number}"
            try:
                with path.open("x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                continue
            return True
        return False

    def install(self) -> None:
        from celery.worker.request import Request
        from django.db.backends.signals import connection_created

        from collection import claiming, export_files, storage
        from collection.neis import NeisClient

        _wrap(claiming, "claim", after=self._claimed)
        _wrap(NeisClient, "get", after=self._asked)
        _wrap(NeisClient, "of_school", after=lambda *a, **k: self.reach("after_last_page"))
        _wrap(storage, "_enter", after=lambda *a, **k: self.reach("after_fence"))
        _wrap(storage, "store", after=lambda *a, **k: self.reach("after_commit"))
        _wrap(export_files, "keep", after=lambda *a, **k: self.reach("file_kept"))
        _wrap(Request, "acknowledge", before=self._received)
        connection_created.connect(self._watch_statements, weak=False)
        self._note_refusals(storage)
        self._note_dead_connections(claiming)

    def _claimed(self, claim: Any, *args: Any, **kwargs: Any) -> None:
        if claim is not None:
            _here.school = getattr(claim, "school_code", "")
            self.reach("after_claim")

    def _asked(
        self, body: bytes, client: Any, service: Any, query: dict[str, str], *a: Any
    ) -> None:
        if query["pIndex"] == "1" and "SD_SCHUL_CODE" in query:
            self.reach("after_first_page")

    def _received(self, request: Any, *args: Any, **kwargs: Any) -> None:
        if request.name == "collection.fetch_school":
            _here.school = ""
            self.reach("received")

    def _watch_statements(self, connection: Any, **kwargs: Any) -> None:
        if self._statement not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._statement)

    def _statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        from collection import storage

        if not isinstance(sql, str):
            return execute(sql, params, many, context)
        if sql == storage._CHANGED:
            self.reach("after_copy")
        result = execute(sql, params, many, context)
        if sql == storage._DELETE:
            self.reach("after_delete")
        elif sql == storage._FINISH:
            self.reach("before_commit")
        elif sql.startswith('INSERT INTO "collection_schoolfetch"'):
            self.reach("planning")
        elif sql.startswith('INSERT INTO "collection_alertmessage"'):
            self.reach("alerting")
        elif "DETACH PARTITION" in sql:
            self.reach("detached")
        elif sql.startswith('UPDATE "collection_run"') and "finished_at" in sql:
            self.reach("finishing")
        return result

    def _note_refusals(self, storage: Any) -> None:
        """A stale write that the fence refused leaves a file, so that it can be counted."""
        enter = storage._enter

        @functools.wraps(enter)
        def counted(claim: Any) -> Any:
            try:
                return enter(claim)
            except storage.ClaimLost:
                (self._folder / f"refused-{claim.fetch_id}-{claim.attempt}").touch()
                raise

        storage._enter = counted

    def _note_dead_connections(self, claiming: Any) -> None:
        from django.db import InterfaceError, OperationalError

        claim = claiming.claim

        @functools.wraps(claim)
        def counted(fetch_id: int, **options: Any) -> Any:
            try:
                return claim(fetch_id, **options)
            except (OperationalError, InterfaceError):
                (self._folder / f"dead-{fetch_id}-{time.monotonic_ns()}").touch()
                raise

        claiming.claim = counted


def _wrap(
    owner: Any,
    name: str,
    *,
    before: Callable[..., None] | None = None,
    after: Callable[..., None] | None = None,
) -> None:
    """`before` gets the arguments, `after` the result and the arguments."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            before(*args, **kwargs)
        result = original(*args, **kwargs)
        if after:
            after(result, *args, **kwargs)
        return result

    setattr(owner, name, wrapped)
