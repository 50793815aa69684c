"""PostgreSQL: crashed, away, full, locked, refusing (F11 to F15)."""

import contextlib
import time

import psycopg

from collection.neis_emulator import Fault
from tests.faults.rig import Process, Rig
from tests.faults.scenarios import scenario


@scenario(
    "F11",
    inject="PostgreSQL crashes and comes back, 10 times",
    expect="Nothing is stuck; no attempt is blamed on NEIS",
)
def crashed_postgres(rig: Rig) -> None:
    rig.slow(0.8 if rig.full else 0.3)
    rig.workers()
    pump = rig.pump()
    run = rig.start_run()
    for number in range(10 if rig.full else 2):
        rig.wait_for_done((number + 1) * len(rig.world.schools) // 14)
        rig.crash_postgres()
        rig.postgres.start()
    rig.wait_for_end(run)
    rig.bound("restarts of the pump", pump.starts - 1, 0)
    rig.bound("attempts blamed on NEIS", _blamed_on_neis(rig), 0)


def _blamed_on_neis(rig: Rig) -> int:
    blamed: int = rig.database.value(
        "SELECT count(*) FROM collection_attempt"
        " WHERE outcome <> 'succeeded' AND error_class NOT IN ('lost', 'database')"
    )
    return blamed


@scenario(
    "F12",
    inject="PostgreSQL is away while tasks end, for 130 s with threads and for 30 s with prefork",
    expect="Workers take up work within 15 s of its return, without a restart",
)
def absent_postgres(rig: Rig) -> None:
    for pool in ("threads", "prefork") if rig.full else ("threads",):
        rig.slow(0.4)
        workers = rig.workers(name=pool, pool=pool)
        pump = rig.pump(f"pump-{pool}")
        run = rig.start_run()
        rig.wait_for_done(rig.done() + len(rig.world.schools) // 6)
        rig.injected.note(f"PostgreSQL away, {pool}")
        rig.crash_postgres()
        time.sleep(_absence_seconds(rig, pool))
        rig.postgres.start()
        back_at, before = time.time(), rig.done()
        rig.wait_until(lambda before=before: rig.done() > before, 60)
        rig.bound(f"{pool}: progress s", time.time() - back_at, 15)
        rig.wait_for_end(run, seconds=120)
        processes: list[Process] = [*workers, pump]
        rig.bound(f"{pool}: restarts", sum(p.starts - 1 for p in processes), 0)
        for process in processes:
            rig.end(process)
        rig.world.revision += 1
    rig.world.revision -= 1
    rig.notes.append("gevent is not among the requirements and was not tried")


def _absence_seconds(rig: Rig, pool: str) -> float:
    """With threads until the stock result backend would have lost every one of them.

    A task waits 10 s for a connection to claim, and six times again in that backend, which tries
    to store a success and then the failure of that, three times each. One that has an answer in
    hand tries for 54 s before.
    """
    if pool == "threads" and (rig.full or rig.off):
        return 130
    return 30 if rig.full else 16


@scenario(
    "F13",
    inject="All idle connections die; one of the product's connections is ended each second for "
    "60 s; 95 of 100 connections are taken for 60 s",
    expect="An idle worker meets no dead connection; no fetch fails",
)
def dying_connections(rig: Rig) -> None:
    seconds = 60 if rig.full else 8
    rig.workers()
    rig.pump()
    rig.collect()
    _end_all_backends(rig)
    rig.bound("attempts put off", _put_off(rig), 0)
    rig.world.revision += 1
    rig.collect()
    rig.bound("claims that met a dead connection", len(list(rig.traps.glob("dead-*"))), 0)
    rig.world.revision += 1
    rig.slow(seconds * 16 / 2.5 / len(rig.world.schools) if rig.full else 0.8)
    run = rig.start_run()
    for _ in range(seconds):
        _end_a_backend(rig)
        time.sleep(1)
    rig.wait_for_end(run)
    rig.world.revision += 1
    run = rig.start_run()
    with _connections_taken(rig, 95):
        time.sleep(seconds)
    rig.wait_for_end(run)


_BACKENDS = """
  FROM pg_stat_activity
 WHERE datname = current_database() AND application_name <> 'witness'
   AND pid <> pg_backend_pid()
"""


def _end_all_backends(rig: Rig) -> None:
    rig.injected.note("all connections ended")
    rig.database.rows(f"SELECT pg_terminate_backend(pid) {_BACKENDS}")


def _put_off(rig: Rig) -> int:
    put_off: int = rig.database.value(
        "SELECT count(*) FROM collection_attempt WHERE outcome <> 'succeeded'"
    )
    return put_off


def _end_a_backend(rig: Rig) -> None:
    backends = [pid for (pid,) in rig.database.rows(f"SELECT pid {_BACKENDS} ORDER BY pid")]
    if backends:
        rig.injected.note("connection ended")
        rig.database.rows("SELECT pg_terminate_backend(%s)", rig.random.choice(backends))


@contextlib.contextmanager
def _connections_taken(rig: Rig, count: int):  # type: ignore[no-untyped-def]
    rig.injected.note("connections taken")
    with contextlib.ExitStack() as taken:
        for _ in range(count):
            with contextlib.suppress(psycopg.OperationalError):
                taken.enter_context(rig.database.connect("neis"))
        yield


@scenario(
    "F14",
    inject="Somebody holds the row of one fetch for 60 s",
    expect="Only that fetch waits; the others are done meanwhile",
    quick_schools=40,
)
def locked_row(rig: Rig) -> None:
    seconds = 60 if rig.full else 12
    rig.slow(0.1)
    rig.workers()
    run = rig.start_run()
    fetch = rig.random.choice(
        rig.database.rows("SELECT id FROM collection_schoolfetch WHERE run_id = %s", run)
    )[0]
    with rig.database.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM collection_schoolfetch WHERE id = %s FOR UPDATE", [fetch])
        rig.injected.note("row held")
        held_at = time.monotonic()
        rig.pump()
        rig.wait_until(lambda: rig.count("waiting", "running") == 1, seconds)
        rig.bound("others done after s", time.monotonic() - held_at, seconds)
        time.sleep(max(0.0, seconds - (time.monotonic() - held_at)))
    rig.wait_for_end(run, seconds=120)


_REFUSE = """
CREATE FUNCTION witness.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.school_id = %s AND NEW.position > 50 THEN RAISE EXCEPTION 'refused'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON collection_timetableentry
   FOR EACH ROW EXECUTE FUNCTION witness.refuse();
GRANT USAGE ON SCHEMA witness TO neis;
"""


@scenario(
    "F15",
    inject="COPY is refused in the middle for one school, another's answer is no UTF-8, others "
    "hold U+0000",
    expect="Both keep their old week and fail with the reason; the others are right",
    quick_schools=30,
    schools=150,
    world={"dirty_rows": 0.3},
    settings={"FETCH_MAX_FAILURES": "2"},
    short=True,
)
def refused_copy(rig: Rig) -> None:
    rig.workers(1)
    rig.pump()
    rig.collect()
    refused, garbled = rig.choose(2)
    (school,) = rig.database.rows("SELECT id FROM collection_school WHERE code = %s", refused)[0]
    rig.database.rows(_REFUSE % school)
    rig.injected.note("COPY refused")
    rig.emulator.faults.switch([Fault("bad_utf8", schools=frozenset({garbled}))])
    rig.injected.note("no UTF-8")
    rig.expectation.failed |= {refused, garbled}
    rig.expectation.revisions |= {refused: 0, garbled: 0}
    rig.world.revision = 1
    run = rig.collect()
    reasons = dict(
        rig.database.rows(
            "SELECT school.code, item.error_class FROM collection_schoolfetch AS item"
            "  JOIN collection_school AS school ON school.id = item.school_id"
            " WHERE run_id = %s AND item.state = 'failed'",
            run,
        )
    )
    rig.notes.append(f"reasons: {sorted(reasons.values())}")
    rig.bound("wrong reasons", reasons != {refused: "bug", garbled: "malformed"}, 0)
