"""Workers and messages: killed, stopped, lost, doubled (F01 to F10)."""

import base64
import itertools
import json
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from collection.neis_emulator import Fault
from tests.e2e import clocks
from tests.faults.injection import POINTS, Trap
from tests.faults.oracle import read_stored
from tests.faults.rig import DEADLINE, LEASE, PATIENCE, PUMP, REPUBLISH, Process, Rig, signal_all
from tests.faults.scenarios import scenario
from tests.faults.visitor import Visitor

# While messages wait in the queues, an overdue one is given ten times the patience.
LONGEST_REPUBLISH = 10 * REPUBLISH
LOCK_TIMEOUT = 10


@scenario(
    "F01",
    inject="A random worker is killed every 3 s, 20 times, and restarted at once",
    expect="Everything right; attempts ≤ fetches + kills × threads",
)
def killed_workers(rig: Rig) -> None:
    kills, pause, latency = (20, 3.0, 1.5) if rig.full else (3, 1.5, 1.5)
    rig.slow(latency)
    workers = rig.workers()
    rig.pump()
    runs = [rig.start_run()]
    for _ in range(kills):
        time.sleep(pause)
        if rig.state(runs[-1]) == "completed":
            rig.world.revision += 1
            runs.append(rig.start_run())
        rig.wait_until(lambda: rig.count("running") >= rig.threads, 60)
        rig.kill(rig.random.choice(workers))
    rig.wait_for_end(*runs)
    fetches = len(runs) * len(rig.world.schools)
    rig.bound("attempts", rig.attempts()[0], fetches + kills * rig.threads)
    rig.bound("no attempt lost", -_lost(rig), -1)
    _bound_recovery(rig, latency)


def _bound_recovery(rig: Rig, latency: float) -> None:
    """From the last claim that was lost to the end of its fetch."""
    longest = rig.database.value(
        "SELECT COALESCE(max(extract(epoch FROM item.finished_at - lost.at)), 0)"
        "  FROM collection_schoolfetch AS item JOIN ("
        "    SELECT fetch_id, max(started_at) AS at FROM collection_attempt"
        "     WHERE outcome = 'lost' GROUP BY 1) AS lost ON lost.fetch_id = item.id"
    )
    # A fetch that was lost before waits up to a lease for each time.
    repeated = LEASE * max(0, rig.attempts()[1] - 2)
    patience = LEASE + repeated + LONGEST_REPUBLISH + 2 * PUMP + DEADLINE + latency
    rig.bound("recovery s", float(longest), patience)


@scenario(
    "F02",
    inject="A worker is killed at each of nine points of a fetch, 20 times each",
    expect="Everything right; until COMMIT readers see the whole old week, after it the new one "
    "and no request more",
    quick_schools=30,
    weeks=2,
    settings={"FETCH_MAX_FAILURES": "30"},
)
def crash_points(rig: Rig) -> None:
    each = 20 if rig.full else 1
    first = rig.workers(1, name="first")
    rig.pump()
    rig.collect()
    rig.end(first[0])
    victims = rig.choose((len(POINTS) - 1) * each)
    traps = [Trap("received", times=each)]
    for number, point in enumerate(POINTS[1:]):
        traps.append(Trap(point, schools=tuple(victims[number * each : (number + 1) * each])))
    committed = traps[-1].schools
    old = _expected(rig)
    rig.world.revision = 1
    new = _expected(rig)
    rig.slow(0.1)
    run = rig.start_run()
    with _reading(rig, victims, old, new) as reads:
        # One thread each: another's kill could come between COMMIT and the point after it, which
        # nothing would reach any more.
        rig.workers(traps=traps, threads=1, wait=False)
        rig.wait_for_end(run, seconds=900 if rig.full else 300)
    sprung = len(rig.sprung())
    for _ in range(sprung):
        rig.injected.note("killed at a point")
    rig.bound("points not reached", len(POINTS) * each - sprung, 0)
    rig.bound("mixed reads", reads["mixed"], 0)
    rig.bound("no reads", -reads["whole"], -1)
    rig.bound("requests after COMMIT", _requests_after_commit(rig, committed), 0)


def _expected(rig: Rig) -> dict[tuple[str, object], Counter[tuple[str, ...]]]:
    return dict(rig.expectation.weeks())


@contextmanager
def _reading(rig: Rig, schools: list[str], *versions: dict) -> Iterator[Counter[str]]:  # type: ignore[type-arg]
    """Reads the weeks of the schools all the time, and counts those that are no whole version."""
    reads: Counter[str] = Counter()
    over = threading.Event()

    def read() -> None:
        database = type(rig.database)(rig.postgres.server, rig.database.name)
        while not over.wait(0.1):
            school = rig.random.choice(schools)
            stored = read_stored(database, school)
            for week in ((school, monday) for monday in rig.mondays):
                # One that is gone for a moment is no whole version either.
                lines = stored.get(week, Counter())
                whole = any(version[week] == lines for version in versions)
                reads["whole" if whole else "mixed"] += 1
        database.close()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield reads
    finally:
        over.set()
        reader.join()


def _requests_after_commit(rig: Rig, schools: tuple[str, ...]) -> int:
    rows = rig.database.rows(
        "SELECT school.code, extract(epoch FROM max(change.at)) FROM witness.fetches AS change"
        "  JOIN collection_schoolfetch AS item ON item.id = change.fetch_id"
        "  JOIN collection_school AS school ON school.id = item.school_id"
        " WHERE school.code = ANY(%s) AND change.new = 'succeeded' GROUP BY 1",
        list(schools),
    )
    committed = {code: float(at) for code, at in rows}
    return sum(
        entry["school"] in committed and entry["at"] > committed[entry["school"]]
        for entry in rig.emulator.journal.entries()
    )


@scenario(
    "F03",
    inject="The process is killed each time one school's fetch runs, in threads and in prefork",
    expect="The fetch fails as crashed after exactly the cap of attempts, alone; the run ends "
    "incomplete; no message goes round",
    schools=100,
    settings={"FETCH_MAX_FAILURES": "5"},
)
def poison(rig: Rig) -> None:
    for pool in ("threads", "prefork"):
        code = rig.choose(1)[0]
        rig.expectation.failed.add(code)
        rig.expectation.revisions = {code: rig.world.revision - 1 if rig.world.revision else None}
        workers = rig.workers(
            name=pool,
            pool=pool,
            traps=[Trap("after_claim", schools=(code,), times=0)],
        )
        rig.pump(f"pump-{pool}")
        run = rig.start_run()
        rig.wait_for_end(run)
        rig.bound(f"{pool}: run not incomplete", rig.state(run) != "incomplete", 0)
        ((state, error, attempts),) = rig.database.rows(
            "SELECT item.state, item.error_class, item.attempt FROM collection_schoolfetch AS item"
            "  JOIN collection_school AS school ON school.id = item.school_id"
            " WHERE run_id = %s AND school.code = %s",
            run,
            code,
        )
        rig.notes.append(f"{pool}: {state} as {error} after {attempts} attempts")
        rig.bound(f"{pool}: poison not crashed", (state, error) != ("failed", "crashed"), 0)
        rig.bound(f"{pool}: attempts beside the cap", abs(attempts - 5), 0)
        rig.bound(f"{pool}: messages", _messages_over(rig, 15 if rig.full else 5), 0)
        for process in workers:
            rig.end(process)
        rig.world.revision += 1
    rig.world.revision -= 1


def _messages_over(rig: Rig, seconds: float) -> int:
    """The most messages that lay in the queues of fetches during that time."""
    most = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, queued(rig))
        time.sleep(0.1)
    return most


def queued(rig: Rig) -> int:
    kinds = ("elementary", "middle", "high", "special", "list")
    return sum(int(rig.stack.redis.llen(f"neis:fetch.{kind}")) for kind in kinds)


@scenario(
    "F04",
    inject="Workers are stopped in the middle of a fetch, for two leases and until the heir is at "
    "work; then a run with clocks two hours ahead and behind",
    expect="Another worker stores it, the woken one writes nothing; no lease ends early",
    quick_schools=30,
)
def stopped_workers(rig: Rig) -> None:
    early, late = rig.choose(2)
    # The other threads of a stopped process may stand in a transaction too, its watcher among them.
    rig.most_idle_in_transaction, threads = 66, rig.threads if rig.full else 1
    # The stopped one holds another answer than its heir gets: a stale write would be seen.
    stale = Fault("halved", schools=frozenset({early}), first=1)
    rig.slow(0.1, stale, Fault("latency", seconds=2.5, schools=frozenset({early})))
    workers = rig.workers(
        2, name="early", threads=threads, traps=[Trap("after_last_page", "stop", (early,))]
    )
    rig.pump()
    run = rig.start_run()
    rig.wait_until(lambda: _attempt(rig, early) == ("running", 2), 120)
    _continue(rig, early)
    rig.wait_for_end(run)
    rig.judge_stored("after the first waking")
    for process in workers:
        rig.end(process)

    rig.slow(0.1)
    rig.world.revision = 1
    workers = rig.workers(
        2, name="late", threads=threads, traps=[Trap("after_last_page", "stop", (late,))]
    )
    run = rig.start_run()
    rig.wait_until(rig.sprung_at(late), 120)
    stopped_at = time.monotonic()
    rig.wait_for_end(run)
    time.sleep(max(0.0, 2 * LEASE - (time.monotonic() - stopped_at)))
    refused = rig.refused()
    _continue(rig, late)
    rig.wait_until(lambda: rig.refused() > refused or rig.off, 15)
    rig.bound("stale writes not refused", 2 - rig.refused(), 0)
    if rig.full:
        _skewed_clocks(rig, workers)


def _attempt(rig: Rig, code: str) -> tuple[str, int]:
    ((state, attempt),) = rig.database.rows(
        "SELECT state, attempt FROM collection_schoolfetch AS item"
        "  JOIN collection_school AS school ON school.id = item.school_id WHERE school.code = %s"
        " ORDER BY item.id DESC LIMIT 1",
        code,
    )
    return state, attempt


def _continue(rig: Rig, code: str) -> None:
    rig.injected.note("worker stopped")
    (file,) = [path for path in rig.sprung() if f"-{code}-" in path.name]
    os.kill(int(file.read_text()), signal.SIGCONT)


def _skewed_clocks(rig: Rig, others: list[Process]) -> None:
    for process in others:
        rig.end(process)
    if not clocks.LIBRARY:
        rig.notes.append("clocks were not moved: faketime is not installed")
        return
    lost_before = _lost(rig)
    for hours in (2, -2):
        rig.injected.note(f"clock {hours:+d}h")
        rig.workers(1, name=f"clock{hours:+d}h", **clocks.moved(hours, rig.folder))
    rig.slow(0.3)
    rig.world.revision += 1
    rig.collect()
    rig.bound("leases that ended early", _lost(rig) - lost_before, 0)


def _lost(rig: Rig) -> int:
    lost: int = rig.database.value("SELECT count(*) FROM collection_attempt WHERE outcome = 'lost'")
    return lost


@scenario(
    "F05",
    inject="A worker is stopped between the fence and COMMIT, for two leases; then until the "
    "server ends its transaction",
    expect="Pump and others go on; one version in the end",
    schools=100,
)
def stopped_in_transaction(rig: Rig) -> None:
    rig.most_idle_in_transaction = 66
    rig.slow(0.1)
    rig.pump()
    for name, seconds in (
        (("short", 2 * LEASE), ("long", 64)) if rig.full else (("short", 2 * LEASE),)
    ):
        (code,) = rig.choose(1)
        workers = rig.workers(2, name=name, traps=[Trap("before_commit", "stop", (code,))])
        run = rig.start_run()
        rig.wait_until(rig.sprung_at(code), 120)
        rig.injected.note("stopped in a transaction")
        stopped_at = time.monotonic()
        # Those that the stopped process has in hand are out of reach like the one itself.
        rig.wait_until(lambda: rig.count("waiting", "running") <= rig.threads, PATIENCE)
        rig.bound(f"{name}: longest pause of the others s", _longest_pause(rig), LOCK_TIMEOUT)
        time.sleep(max(0.0, seconds - (time.monotonic() - stopped_at)))
        signal_all(workers, signal.SIGCONT)
        rig.wait_for_end(run)
        for process in workers:
            rig.end(process)
        rig.world.revision += 1
    rig.world.revision -= 1


def _longest_pause(rig: Rig) -> float:
    """Between the last fault and now, the longest time in which no fetch ended."""
    at, _ = rig.injected.at[-1]
    ends = [at, *(end for end in rig.ends() if end > at)]
    return max((later - earlier for earlier, later in itertools.pairwise(ends)), default=0)


@scenario(
    "F06",
    inject="FLUSHALL in the middle of a run, 5 times",
    expect="Work goes on within republish + pump; nobody does anything",
)
def emptied_redis(rig: Rig) -> None:
    times = 5 if rig.full else 2
    rig.slow(1.0 if rig.full else 0.5)
    rig.workers()
    rig.beat() if rig.full else rig.pump()
    run = rig.start_run()
    for number in range(times):
        rig.wait_for_done((number + 1) * len(rig.world.schools) // (times + 2))
        rig.flush_redis()
    rig.wait_for_end(run)
    _bound_progress(rig, REPUBLISH + 2 * PUMP + 3)


def _bound_progress(rig: Rig, most: float) -> None:
    """From the latest moment of a fault to the next fetch that ended."""
    rig.bound("progress s", (rig.injected.progress_seconds(rig.ends()) or (0, 1e9))[1], most)


@scenario(
    "F07",
    inject="Redis is killed, comes back empty after 10 s, and again",
    expect="Workers connect again by themselves, in the same processes; work goes on within 60 s; "
    "what was running is not run twice; the console says within 30 s that the broker is away",
)
def killed_redis(rig: Rig) -> None:
    rig.slow(1.0)
    visitor = rig.console()
    workers = rig.workers()
    pump = rig.pump()
    run = rig.start_run()
    for number in range(2):
        rig.wait_for_done((number + 1) * len(rig.world.schools) // 4)
        rig.injected.note("Redis killed")
        rig.redis.kill()
        if not number:
            _wait_for_the_console(rig, visitor)
        time.sleep(10 if rig.full else 4)
        rig.redis.restart()
        _bound_return(rig, f"return {number + 1}")
    rig.wait_for_end(run)
    rig.bound("restarted processes", sum(p.starts - 1 for p in [*workers, pump]), 0)
    rig.bound("claims lost", _lost(rig), 0)


def _wait_for_the_console(rig: Rig, visitor: Visitor) -> None:
    begun = time.time()
    shown = "The broker is in trouble since"
    rig.wait_until(lambda: shown in visitor.page("/admin/"), 60)
    rig.bound("shown after s", time.time() - begun, 30)


@scenario(
    "F08",
    inject="Redis refuses writes for want of memory for 30 s",
    expect="Nothing is lost; a worker that ends is restarted by its supervisor",
)
def full_redis(rig: Rig) -> None:
    rig.slow(0.5)
    rig.workers()
    pump = rig.pump()
    run = rig.start_run()
    rig.wait_for_done(len(rig.world.schools) // 4)
    rig.injected.note("Redis full")
    rig.stack.redis.config_set("maxmemory", 1)
    time.sleep(30 if rig.full else 5)
    rig.stack.redis.config_set("maxmemory", 0)
    rig.wait_for_end(run)
    rig.bound("restarts of the pump", pump.starts - 1, 0)


@scenario(
    "F09",
    inject="Redis stands still for 60 s; the network swallows everything for 20 s; "
    "50 times all connections are cut",
    expect="Work goes on within 56 s; nothing is stored twice",
    schools=600,
    quick_schools=150,
)
def half_open_redis(rig: Rig) -> None:
    proxy = rig.proxy(rig.stack.redis_server.socket)
    address = f"redis://127.0.0.1:{proxy.port}/0"
    rig.stack.settings |= {"REDIS_URL": address, "CELERY_BROKER_URL": address}
    # Four requests, the most that a school takes, stay below a fetch's deadline.
    rig.slow(1.2)
    rig.workers()
    rig.pump()
    run = rig.start_run()
    rig.wait_for_done(20)
    rig.injected.note("Redis stands still")
    rig.redis.freeze()
    time.sleep(60 if rig.full else 5)
    rig.redis.thaw()
    _bound_return(rig, "still")
    rig.injected.note("network swallows")
    proxy.hole = True
    time.sleep(20 if rig.full else 5)
    proxy.hole = False
    _bound_return(rig, "swallowed")
    rig.injected.note("connections cut")
    for _ in range(50):
        proxy.reset()
        time.sleep(0.1)
    _bound_return(rig, "cut")
    rig.wait_for_end(run, seconds=300)


def _bound_return(rig: Rig, name: str) -> None:
    back_at, before = time.time(), rig.done()
    rig.wait_until(lambda: rig.done() > before or rig.count("waiting", "running") == 0, 90)
    rig.bound(f"progress after {name} s", time.time() - back_at, 56)


@scenario(
    "F10",
    inject="Every message is delivered three times; messages of finished and of unknown fetches too",
    expect="As many requests as in a clean run; no error in a log",
    short=True,
)
def doubled_messages(rig: Rig) -> None:
    first = rig.workers(1, name="first")[0]
    pump = rig.pump()
    run = rig.start_run()
    rig.wait_until(lambda: queued(rig) > 0 or rig.done() > 0, 120)
    rig.wait_for_end(run)
    rig.end(first)
    rig.emulator.journal.clear()
    rig.world.revision, rig.least_requests = 1, 0
    rig.slow(0.05)
    run = rig.start_run()
    planned = len(rig.world.schools)
    rig.wait_until(lambda: queued(rig) >= planned, 120)
    rig.end(pump)
    copies = _copy_messages(rig, finished=run - 1)
    workers = rig.workers()
    rig.wait_until(lambda: rig.count("waiting", "running") == 0 and queued(rig) == 0, 300)
    time.sleep(1)
    rig.pump("pump-again")
    rig.wait_for_end(run)
    rig.notes.append(f"{copies} messages added to {planned}")
    rig.bound("requests", rig.requests(), rig.least_requests)
    errors = sum(p.log.read_text().count(" ERROR ") for p in workers)
    rig.bound("errors in logs", errors, 0)


def _copy_messages(rig: Rig, *, finished: int) -> int:
    """Two more of each, as a broker would deliver them: the same task, another delivery tag."""
    copies = 0
    strays = [
        fetch
        for (fetch,) in rig.database.rows(
            "SELECT id FROM collection_schoolfetch WHERE run_id = %s ORDER BY id LIMIT 20", finished
        )
    ]
    for level in ("elementary", "middle", "high", "special"):
        queue = f"neis:fetch.{level}"
        messages = [json.loads(raw) for raw in rig.stack.redis.lrange(queue, 0, -1)]
        for message in messages * 2:
            message["properties"]["delivery_tag"] = str(uuid.uuid4())
            rig.stack.redis.lpush(queue, json.dumps(message))
            rig.injected.note("message doubled")
            copies += 1
    for stray in [*strays, 2**40]:
        message["body"] = _body_for(stray)
        message["headers"]["id"] = message["properties"]["correlation_id"] = str(uuid.uuid4())
        message["properties"]["delivery_tag"] = str(uuid.uuid4())
        rig.stack.redis.lpush(queue, json.dumps(message))
        rig.injected.note("stray message")
        copies += 1
    return copies


def _body_for(fetch_id: int) -> str:
    options = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return base64.b64encode(json.dumps([[fetch_id], {}, options]).encode()).decode()
