"""One scenario's world: the emulator, the servers, and the product's processes on them."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings

from collection.neis_emulator import Clock, Emulator, Fault, World, running
from tests.e2e.stack import Stack
from tests.faults import injection
from tests.faults.injection import Trap
from tests.faults.measuring import Injected, Sampler
from tests.faults.oracle import Expectation, Verdict, judge, least_requests
from tests.faults.proxy import Proxy
from tests.faults.servers import Database, Postgres, Redis
from tests.faults.visitor import Visitor, log_in
from tests.faults.webhook import Webhook

KEY = "SENTINELKEY123/+"
"""Not safe in an address as it is, so that its encoded form is looked for too."""
FIRST = date(2026, 5, 18)
FINAL = ("completed", "incomplete", "cancelled")
TIMES = {
    "NEIS_TIMEOUT_SECONDS": "3",
    "FETCH_DEADLINE_SECONDS": "6",
    "FETCH_LEASE_SECONDS": "8",
    "FETCH_RETRY_SECONDS": "0.5",
    "FETCH_MAX_FAILURES": "10",
    "REPUBLISH_SECONDS": "3",
    "BREAKER_COOL_DOWN_SECONDS": "2",
    "BREAKER_MOST_COOL_DOWN_SECONDS": "8",
    "HOLD_AGAIN_SECONDS": "6",
    "HOLD_AGREE_SECONDS": "5",
}
PATIENCE = 240
"""Seconds until a scenario gives up: many times what it needs on a machine of its own."""
LEASE, REPUBLISH, PUMP, DEADLINE = 8, 3, 2, 6


class Overdue(AssertionError):
    """Something did not come about in time."""


@dataclass
class Process:
    """A process of the product under a supervisor that restarts it at once."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    restarts: bool = True
    starts: int = 0
    popen: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command, cwd=settings.BASE_DIR, env=self.environment, stdout=log, stderr=log
            )
        self.starts += 1

    @property
    def pid(self) -> int:
        return self.popen.pid

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        return []


@dataclass
class Bound:
    """A number that a scenario promises, and what it came to."""

    name: str
    measured: float
    most: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.most


class Rig:
    """What a scenario works with. `full` asks for its whole size, else for seconds."""

    def __init__(
        self,
        *,
        folder: Path,
        postgres: Postgres,
        database: Database,
        world: World,
        seed: int,
        full: bool,
        off: Sequence[str] = (),
        settings: dict[str, str] | None = None,
        weeks: int = 1,
    ) -> None:
        self.folder, self.postgres, self.database = folder, postgres, database
        self.world, self.full, self.off = world, full, list(off)
        self.mondays = [FIRST + timedelta(weeks=week) for week in range(weeks)]
        self.threads = 8 if full else 4
        self.random = random.Random(seed)
        self.injected = Injected()
        self.bounds: list[Bound] = []
        self.notes: list[str] = []
        self.expectation = Expectation(world, self.mondays)
        self.emulator = Emulator(world, keys=(KEY,))
        self.traps = folder / "traps"
        self.traps.mkdir()
        self.least_requests = 0
        self.most_idle_in_transaction = 5.0
        self._settings = settings or {}
        self._exits = contextlib.ExitStack()
        self._processes: list[Process] = []
        self._watching = threading.Event()
        self._operator: subprocess.Popen[bytes] | None = None

    # --- Its life ---------------------------------------------------------------------------

    def __enter__(self) -> "Rig":
        self._exits.enter_context(running(self.emulator))
        self.stack = Stack(
            self.folder,
            self.emulator.base_url,
            {
                "DATABASE_URL": self.database.url,
                "NEIS_API_KEYS": KEY,
                "NEIS_MAX_IN_FLIGHT": "0",
                "DATABASE_POOL_SIZE": "6",
                "LOG_LEVEL": "INFO",
                **TIMES,
                **injection.environment(self.traps, [], self.off),
                **self._settings,
            },
            manage_program=("-m", "tests.faults.manage"),
        )
        self.stack.start()
        self.redis = Redis(self.stack.redis_server)
        self.sampler = Sampler(self.database, self.stack.redis, self._all_processes)
        self.sampler.start()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._watching.set()
        self._supervisor.join()
        self.sampler.stop()
        self.redis.thaw()
        self.postgres.thaw()
        if self._operator is not None:
            self._operator.kill()
            self._operator.communicate()
        for process in self._processes:
            if process.popen.poll() is None:
                process.send(signal.SIGCONT)
                process.send(signal.SIGTERM)
        for process in self._processes:
            try:
                process.popen.wait(timeout=6)
            except subprocess.TimeoutExpired:
                for part in process.tree():
                    part.kill()
                process.popen.wait()
        self.stack.stop()
        self._exits.close()

    def _supervise(self) -> None:
        while not self._watching.wait(0.05):
            for process in list(self._processes):
                if process.restarts and process.popen.poll() is not None:
                    process.start()

    def _all_processes(self) -> list[psutil.Process]:
        return [part for process in self._processes for part in process.tree()]

    # --- The product's processes ------------------------------------------------------------

    def workers(
        self,
        count: int = 2,
        *,
        name: str = "worker",
        pool: str = "threads",
        threads: int = 0,
        traps: Sequence[Trap] = (),
        wait: bool = True,
        queues: str = "",
        **environment: str,
    ) -> list[Process]:
        started = []
        for number in range(count):
            title = f"{name}-{number}"
            size = threads or (self.threads if pool == "threads" else 3)
            command = ["celery", "-A", "tests.faults.app", "worker", "-P", pool, "-c", str(size),
                       "-l", "INFO", "-n", f"{title}@faults", "--without-gossip",
                       "--without-mingle", *(["-Q", queues] if queues else [])]  # fmt: skip
            started.append(self._run(title, command, traps, environment))
        if wait:
            self.wait_until(lambda: all(self._is_ready(process) for process in started), PATIENCE)
        return started

    def _is_ready(self, process: Process) -> bool:
        return b" ready." in process.log.read_bytes()

    def beat(self, name: str = "beat", **environment: str) -> Process:
        command = ["celery", "-A", "tests.faults.app", "beat", "-l", "INFO", "--pidfile", ""]
        return self._run(name, command, [], environment)

    def pump(self, name: str = "pump", traps: Sequence[Trap] = ()) -> Process:
        return self._run(name, ["tests.faults.manage", "pump", "--forever"], traps, {})

    def console(self) -> Visitor:
        """One that runs, and an administrator who has logged in."""
        self.order("make_visitor")
        return log_in(self.stack.start_console())

    def webhook(self) -> Webhook:
        return self._exits.enter_context(Webhook().running())

    def trapped(self, trap: Trap, *command: str) -> int:
        """The exit status of a command of manage.py that meets a trap."""
        before = self.stack.settings
        self.stack.settings = {**before, **injection.environment(self.traps, [trap], self.off)}
        process = self.stack.begin(*command)
        self.stack.settings = before
        process.communicate(timeout=120)
        return process.returncode

    def _run(
        self,
        name: str,
        module: Sequence[str],
        traps: Sequence[Trap],
        environment: dict[str, str],
    ) -> Process:
        process = Process(
            name,
            [sys.executable, "-m", *module],
            {
                **self.stack.environment,
                **injection.environment(self.traps, list(traps), self.off),
                **environment,
            },
            self.folder / f"{name}.log",
        )
        process.start()
        self._processes.append(process)
        return process

    def end(self, process: Process) -> None:
        """For good: the supervisor lets it be."""
        process.restarts = False
        if process.popen.poll() is None:
            process.send(signal.SIGCONT)
            process.send(signal.SIGKILL)
            process.popen.wait()

    # --- Runs -------------------------------------------------------------------------------

    def order(self, *words: str, expect: int = 0) -> dict[str, Any]:
        """Has a command of manage.py carried out, or one of orders.py, by the operator."""
        if self._operator is None or self._operator.poll() is not None:
            with (self.folder / "operator.log").open("ab") as log:
                self._operator = subprocess.Popen(
                    [sys.executable, "-m", "tests.faults.operator"],
                    cwd=settings.BASE_DIR, env=self.stack.environment,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                )  # fmt: skip
        assert self._operator.stdin is not None
        assert self._operator.stdout is not None
        self._operator.stdin.write(json.dumps(words).encode() + b"\n")
        self._operator.stdin.flush()
        told: dict[str, Any] = json.loads(self._operator.stdout.readline() or '{"status": -1}')
        with (self.folder / "commands.log").open("a") as log_of_commands:
            log_of_commands.write(f"{words}: {told}\n")
        assert told["status"] == expect, (words, told)
        return told

    def sync_schools(self) -> None:
        self.order("sync_schools")
        self.emulator.journal.clear()

    def start_run(self) -> int:
        run: int = self.order("start", str(FIRST), str(len(self.mondays)))["made"]
        self.least_requests += least_requests(self.world, self.mondays)
        return run

    def state(self, run: int) -> str:
        state: str = self.database.value("SELECT state FROM collection_run WHERE id = %s", run)
        return state

    def count(self, *states: str) -> int:
        found: int = self.database.value(
            "SELECT count(*) FROM collection_schoolfetch WHERE state = ANY(%s)", list(states)
        )
        return found

    def done(self) -> int:
        return self.count("succeeded", "empty", "held", "failed")

    def wait_for_done(self, fetches: int, seconds: float = PATIENCE) -> None:
        self.wait_until(lambda: self.done() >= fetches, seconds)

    def wait_for_end(self, *runs: int, seconds: float = PATIENCE) -> None:
        self.wait_until(lambda: all(self.state(run) in FINAL for run in runs), seconds)

    def collect(self, seconds: float = PATIENCE) -> int:
        """A run from its start to its end."""
        run = self.start_run()
        self.wait_for_end(run, seconds=seconds)
        return run

    def wait_until(self, condition: Callable[[], Any], seconds: float) -> None:
        """A server that is away just now has no answer yet."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(psycopg.OperationalError):
                if condition():
                    return
            time.sleep(0.1)
        raise Overdue(f"It did not come about within {seconds:.0f} s.")

    # --- Faults -----------------------------------------------------------------------------

    def slow(self, seconds: float, *more: Fault) -> None:
        """So slow that a fault meets fetches under way."""
        self.emulator.faults.switch([*more, Fault("latency", seconds=seconds)])

    def right(self) -> None:
        self.emulator.faults.switch([])

    def kill(self, process: Process) -> None:
        self.injected.note("worker killed")
        process.send(signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self, process: Process) -> Iterator[None]:
        self.injected.note("worker stopped")
        process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send(signal.SIGCONT)

    def flush_redis(self) -> None:
        self.injected.note("Redis emptied")
        self.stack.redis.flushall()

    def crash_postgres(self) -> None:
        self.injected.note("PostgreSQL crashed")
        self.postgres.crash()

    def proxy(self, target: Path) -> Proxy:
        return self._exits.enter_context(Proxy(target).running())

    def sprung(self, prefix: str = "") -> list[Path]:
        return sorted(self.traps.glob(f"sprung-{prefix}*"))

    def sprung_at(self, school: str) -> Callable[[], bool]:
        return lambda: any(f"-{school}-" in path.name for path in self.sprung())

    def refused(self) -> int:
        """Stale writes that the fence refused."""
        return len(list(self.traps.glob("refused-*")))

    def choose(self, count: int) -> list[str]:
        """Codes of schools, by the seed."""
        codes = [school.school_code for school in self.world.schools]
        return self.random.sample(codes, count)

    # --- The verdict ------------------------------------------------------------------------

    def bound(self, name: str, measured: float, most: float) -> None:
        self.bounds.append(Bound(name, round(measured, 2), most))

    def requests(self) -> int:
        told: int = self.emulator.journal.summary()["requests"]
        return told

    def judge(self) -> Verdict:
        verdict = judge(self.database, self.expectation, folder=self.folder, secret=KEY)
        idle = self.sampler.peaks.get("idle in transaction s", 0)
        self.bound("idle in transaction s", idle, self.most_idle_in_transaction)
        return verdict

    def judge_stored(self, when: str) -> None:
        """A verdict on the rows in between, as a bound: what comes later would cover it up."""
        verdict = judge(self.database, self.expectation, folder=self.folder, secret=KEY)
        wrong = verdict.missing + verdict.doubled + verdict.wrong + verdict.extra
        self.bound(f"school weeks not right {when}", wrong, 0)

    def attempts(self) -> tuple[int, int]:
        ((total, most),) = self.database.rows(
            "SELECT COALESCE(sum(attempt), 0), COALESCE(max(attempt), 0)"
            "  FROM collection_schoolfetch"
        )
        return total, most

    def ends(self) -> list[float]:
        rows = self.database.rows(
            "SELECT extract(epoch FROM at) FROM witness.fetches"
            " WHERE new NOT IN ('waiting', 'running') ORDER BY at"
        )
        return [float(at) for (at,) in rows]


def small_world(seed: int, schools: int, **settings: Any) -> World:
    return World(
        seed,
        schools=schools,
        offices=("T10",),
        **{"vacation": False, "late_publishers": False, "clock": Clock(), **settings},
    )


def signal_all(processes: Sequence[Process], number: signal.Signals) -> None:
    for process in processes:
        if process.popen.poll() is None:
            os.kill(process.pid, number)
