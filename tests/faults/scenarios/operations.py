"""What operators and deployments do, under fire (F34 to F37)."""

import signal
import subprocess
import time

from tests.faults import injection
from tests.faults.injection import Trap
from tests.faults.rig import DEADLINE, FIRST, PUMP, Rig, signal_all
from tests.faults.scenarios import scenario
from tests.faults.scenarios.upstream import errors, only, wait_for_pause


@scenario(
    "F34",
    inject="SIGTERM to all processes, which are back after 20 s, three times",
    expect="Each ends within a fetch's deadline + 5 s; no fetch fails",
)
def deployments(rig: Rig) -> None:
    rig.slow(1.0 if rig.full else 0.5)
    processes = [*rig.workers(), rig.pump(), rig.beat()]
    run = rig.start_run()
    for number in range(3 if rig.full else 1):
        rig.wait_for_done((number + 1) * len(rig.world.schools) // 5)
        rig.injected.note("deployment")
        for process in processes:
            process.restarts = False
        begun = time.monotonic()
        signal_all(processes, signal.SIGTERM)
        for process in processes:
            process.popen.wait(60)
        rig.bound(f"all ended after s ({number + 1})", time.monotonic() - begun, DEADLINE + 5)
        time.sleep(20 if rig.full else 2)
        for process in processes:
            process.start()
            process.restarts = True
    rig.wait_for_end(run)
    lost = "SELECT count(*) FROM collection_attempt WHERE outcome <> 'succeeded'"
    rig.bound("attempts lost", rig.database.value(lost), 0)


@scenario(
    "F35",
    inject="The process is killed while it plans a run, and while it ends one",
    expect="The run is not there, or is there with all of its fetches; it ends exactly once",
    quick_schools=30,
)
def killed_at_the_ends(rig: Rig) -> None:
    for _ in range(5 if rig.full else 1):
        _kill_while_planning(rig)
    left = "SELECT (SELECT count(*) FROM collection_run) + count(*) FROM collection_schoolfetch"
    rig.bound("rows of runs that were not planned", rig.database.value(left), 0)
    times = 5 if rig.full else 2
    # Whoever ends it: the pump, or the watcher of a worker.
    traps = [Trap("finishing", times=times)]
    rig.workers(1, traps=traps)
    rig.pump(traps=traps)
    run = rig.start_run()
    rig.wait_for_end(run)
    sprung = len(rig.sprung("finishing"))
    rig.bound("kills while ending, missed", times - sprung, 0)
    for _ in range(sprung):
        rig.injected.note("killed while ending")


def _kill_while_planning(rig: Rig) -> None:
    rig.injected.note("killed while planning")
    before = rig.stack.settings
    rig.stack.settings = {
        **before,
        **injection.environment(rig.traps, [Trap("planning", times=0)], rig.off),
    }
    planning = rig.stack.begin("collect", "--from", str(FIRST))
    rig.stack.settings = before
    planning.communicate(timeout=60)
    rig.bound("planner not killed", planning.returncode != -signal.SIGKILL, 0)


@scenario(
    "F36",
    inject="Pause, resume and cancel while workers are killed",
    expect="Paused: nothing is begun. Cancelled: nothing is stored. Resumed: all is right",
)
def orders_under_fire(rig: Rig) -> None:
    rig.slow(1.0 if rig.full else 0.5)
    workers = rig.workers()
    rig.pump()
    run = rig.start_run()
    rig.wait_for_done(10)
    rig.order("runs", "pause", str(run))
    paused_at = rig.database.value("SELECT clock_timestamp()")
    rig.kill(rig.random.choice(workers))
    time.sleep(10 if rig.full else 4)
    claimed = "SELECT count(*) FROM witness.fetches WHERE new = 'running' AND at > %s"
    rig.bound("claims while paused", rig.database.value(claimed, paused_at), 0)
    rig.order("runs", "resume", str(run))
    rig.kill(rig.random.choice(workers))
    rig.wait_for_end(run)

    rig.world.revision = 1
    before = rig.done()
    cancelled = rig.start_run()
    rig.wait_for_done(before + 10)
    rig.kill(rig.random.choice(workers))
    rig.order("runs", "cancel", str(cancelled))
    cancelled_at = rig.database.value("SELECT clock_timestamp()")
    time.sleep(DEADLINE + PUMP)
    stored = (
        "SELECT count(*) FROM collection_schoolweek WHERE changed_by_id = %s AND changed_at > %s"
    )
    rig.bound("stored after the cancel", rig.database.value(stored, cancelled, cancelled_at), 0)
    rig.collect()


@scenario(
    "F37",
    inject="Every kind of failure with a key that can be recognised, all logs at DEBUG",
    expect="The key is in no table, log, result or export, in no form",
    schools=120,
    settings={"FETCH_MAX_FAILURES": "2", "LOG_LEVEL": "DEBUG"},
)
def sentinel_key(rig: Rig) -> None:
    kinds = (
        "http_429", "http_500", "http_503", "reset", "time_out", "cut", "html", "truncated_json",
        "missing_field", "error_in_head", "redirect", "error_300", "error_500", "moving_total",
        "missing_rows", "drip",
    )  # fmt: skip
    rig.workers()
    rig.pump()
    rig.collect()
    victims = dict(zip(kinds, rig.choose(len(kinds)), strict=True))
    rig.emulator.faults.switch([only(kind, code, first=3) for kind, code in victims.items()])
    for kind, code in victims.items():
        rig.injected.note(kind)
        rig.expectation.failed.add(code)
    rig.world.revision = 1
    run = rig.start_run()
    rig.wait_for_end(run)
    rig.expectation.revisions |= dict.fromkeys(errors(rig, run), 0)
    rig.emulator.desk.revoked = {0}
    rig.injected.note("key revoked")
    refused = rig.start_run()
    wait_for_pause(rig, refused, "keys")
    rig.order("runs", "cancel", str(refused))
    for name in ("all.csv", "all.csv.gz"):
        rig.order("export_timetables", "--from", str(FIRST), "--weeks", "1",
                         "--output", str(rig.folder / name))  # fmt: skip
    _dump(rig)


def _dump(rig: Rig) -> None:
    """What a backup would hold, into the folder that the oracle searches."""
    from config.embedded.postgres import binary

    with (rig.folder / "dump.sql").open("wb") as file:
        subprocess.run(
            [binary("pg_dump"), "-h", str(rig.postgres.server.run), "-p", "5432",
             "-U", "postgres", "-T", "collection_timetableentry*", rig.database.name],
            stdout=file, check=True,
        )  # fmt: skip


@scenario(
    "F39",
    inject="Old weeks are dropped while somebody reads; the process is killed in the middle",
    expect="Each week is there whole or gone whole; other readers wait for a moment only",
    schools=60,
    quick_schools=15,
    weeks=3,
    settings={"RETENTION_WEEKS": "4"},
)
def retention(rig: Rig) -> None:
    rig.workers(1)
    rig.pump()
    rig.collect()
    rig.injected.note("killed while dropping")
    before = rig.stack.settings
    rig.stack.settings = {
        **before,
        **injection.environment(rig.traps, [Trap("detached")], rig.off),
    }
    dropping = rig.stack.begin("retention")
    rig.stack.settings = before
    dropping.communicate(timeout=120)
    rig.bound("not killed", dropping.returncode != -signal.SIGKILL, 0)
    rig.judge_stored("after the kill")
    with rig.database.connect() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM collection_timetableentry")
        rig.injected.note("reader in the way")
        dropping = rig.stack.begin("retention")
        longest = 0.0
        while dropping.poll() is None:
            begun = time.monotonic()
            rig.database.rows("SELECT count(*) FROM collection_timetableentry")
            longest = max(longest, time.monotonic() - begun)
            time.sleep(0.1)
    rig.bound("other readers waited s", longest, 10)
    rig.judge_stored("beside a reader")
    rig.order("retention")
    rig.expectation.revisions = {school.school_code: None for school in rig.world.schools}


# What belongs to signing in and to the record of it changes with every visit.
_WATCHED = """
SELECT table_name FROM information_schema.tables
 WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
   AND table_name ~ '^(collection|django_celery)' AND table_name !~ 'timetableentry|heartbeat|pumpstate'
"""


@scenario(
    "F38",
    inject="Staff that may only look posts every action of the admin and every form of adding; a "
    "schedule names a task of somebody else; NEIS redirects to another host",
    expect="Refused; no row changes, no task starts; no redirect is followed",
    quick_schools=20,
    schools=20,
    settings={"ALLOWED_HOSTS": "testserver"},
)
def strangers(rig: Rig) -> None:
    rig.workers(1)
    rig.pump()
    rig.collect()
    before, requests = _fingerprints(rig), rig.requests()
    posts = rig.order("post_actions_as_viewer")["made"]
    rig.injected.note("actions posted")
    rig.notes.append(f"{len(posts)} posts as a viewer")
    changed = [table for table, mark in _fingerprints(rig).items() if before[table] != mark]
    rig.notes += [f"{table} changed" for table in changed]
    rig.bound("tables that changed", len(changed), 0)
    rig.bound("posts that failed inside", sum(status >= 500 for status in posts.values()), 0)
    rig.bound("no posts", -len(posts), -1)
    _schedule_a_foreign_task(rig)
    rig.beat()
    seen = "SELECT count(*) FROM collection_heartbeat WHERE name = 'scheduler'"
    rig.wait_until(lambda: rig.database.value(seen) > 0, 120)
    time.sleep(6)
    sent = "SELECT total_run_count FROM django_celery_beat_periodictask WHERE name = 'foreign'"
    rig.bound("foreign tasks sent", rig.database.value(sent), 0)
    rig.bound("requests by strangers", rig.requests() - requests, 0)
    (code,) = rig.choose(1)
    rig.emulator.faults.switch([only("redirect", code)])
    rig.injected.note("redirect")
    rig.expectation.failed.add(code)
    rig.expectation.revisions[code] = 0
    rig.world.revision = 1
    told = errors(rig, rig.collect())
    rig.bound("redirects followed", told != {code: "bad_request"}, 0)


def _fingerprints(rig: Rig) -> dict[str, str]:
    marks = {}
    for (table,) in rig.database.rows(_WATCHED):
        marks[table] = rig.database.value(
            f"SELECT md5(COALESCE(string_agg(line::text, '' ORDER BY line::text), ''))"
            f"  FROM {table} AS line"
        )
    return marks


def _schedule_a_foreign_task(rig: Rig) -> None:
    rig.injected.note("foreign task")
    rig.database.rows(
        "INSERT INTO django_celery_beat_periodictask (name, task, interval_id, args, kwargs,"
        "   queue, enabled, total_run_count, date_changed, description, one_off, headers)"
        " SELECT 'foreign', 'os.system', interval_id, '[\"true\"]', '{}', 'control', true, 0,"
        "   now(), '', false, '{}'"
        "   FROM django_celery_beat_periodictask WHERE task = 'collection.pump' LIMIT 1"
    )
