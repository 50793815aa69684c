"""What operators and deployments do, under fire (F34 to F37)."""

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.injection import Trap
from tests.faults.rig import DEADLINE, FIRST, PUMP, Process, Rig, signal_all
from tests.faults.scenarios import scenario
from tests.faults.scenarios.schedules import make_job
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
    inject="The process is killed while it plans a run, while it ends one, with the file of an "
    "export just stored, and while it opens the alert for a failed school",
    expect="The run is not there, or is there with all of its fetches; it ends exactly once; one "
    "file, one alert and one message of it",
    quick_schools=30,
    settings={"FETCH_MAX_FAILURES": "2", "EXPORT_LEASE_SECONDS": "5"},
)
def killed_at_the_ends(rig: Rig) -> None:
    webhook = rig.webhook()
    exported = rig.folder / "exports"
    rig.stack.settings |= {
        "EXPORTS_DIRECTORY": str(exported),
        "ALERT_WEBHOOK_URL": webhook.address,
    }
    for _ in range(5 if rig.full else 1):
        rig.injected.note("killed while planning")
        status = rig.trapped(Trap("planning", times=0), "collect", "--from", str(FIRST))
        rig.bound("planner not killed", status != -signal.SIGKILL, 0)
    left = "SELECT (SELECT count(*) FROM collection_run) + count(*) FROM collection_schoolfetch"
    rig.bound("rows of runs that were not planned", rig.database.value(left), 0)
    # Whoever ends it and tells of it: the pump, or the watcher of a worker.
    kills = {"finishing": 5 if rig.full else 2, "alerting": 3 if rig.full else 1, "file_kept": 2}
    traps = [Trap(point, times=times) for point, times in kills.items()]
    rig.workers(1, traps=traps)
    rig.pump(traps=traps)
    (victim,) = rig.choose(1)
    rig.emulator.faults.switch([only("http_500", victim)])
    rig.expectation.failed.add(victim)
    job = make_job(rig, seconds=3600, alert=True, alert_above_percent=0)
    rig.order("start_at_once", str(job), "1")
    run = rig.database.value("SELECT id FROM collection_run")
    rig.wait_for_end(run)
    rig.wait_until(lambda: webhook.bodies, 120)
    _export(rig, exported)
    for point, times in kills.items():
        sprung = len(rig.sprung(point))
        rig.bound(f"kills at {point}, missed", times - sprung, 0)
        for _ in range(sprung):
            rig.injected.note(f"killed at {point}")
    opened = "SELECT count(*) FROM collection_alert WHERE kind = 'failures'"
    rig.bound("alerts beyond one", abs(rig.database.value(opened) - 1), 0)
    rig.bound("messages beyond one", abs(len(webhook.bodies) - 1), 0)
    rig.right()
    rig.collect()


def _export(rig: Rig, folder: Path) -> None:
    export = rig.order("ask_for_export", str(FIRST))["made"]
    state = "SELECT state FROM collection_export WHERE id = %s"
    rig.wait_until(lambda: rig.database.value(state, export) in ("ready", "failed"), 120)
    rig.bound("exports not ready", rig.database.value(state, export) != "ready", 0)
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    rig.bound("files beyond one", abs(len(files) - 1), 0)


@scenario(
    "F36",
    inject="Pause, resume, cancel and retry while workers are killed",
    expect="Paused: nothing is begun. Cancelled: nothing is stored. Resumed: all is right. "
    "Retried: the failed schools and no other",
    settings={"FETCH_MAX_FAILURES": "4"},
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
    _retry_under_fire(rig, workers)


def _retry_under_fire(rig: Rig, workers: Sequence[Process]) -> None:
    victims = set(rig.choose(len(rig.world.schools) // 10))
    rig.world.revision = 2
    rig.emulator.faults.switch([only("http_500", *victims)])
    rig.expectation.failed |= victims
    failed = rig.start_run()
    rig.wait_for_end(failed)
    rig.slow(1.0 if rig.full else 0.5)
    (retry,) = rig.order("retry_failed", str(failed))["made"]
    rig.wait_until(lambda: rig.count("running") > 0, 60)
    for worker in workers:
        rig.kill(worker)
    rig.wait_for_end(retry)
    touched = rig.database.rows(
        "SELECT school.code FROM collection_schoolfetch AS item"
        "  JOIN collection_school AS school ON school.id = item.school_id WHERE run_id = %s",
        retry,
    )
    rig.bound("retried and not failed, or the other way", len({c for (c,) in touched} ^ victims), 0)


@scenario(
    "F37",
    inject="Every kind of failure with a key that can be recognised, all logs at DEBUG",
    expect="The key is in no table, log, result, page or export, in no form",
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
    _save_pages(rig, run)


def _save_pages(rig: Rig, run: int) -> None:
    """What an administrator sees of the failures, for the oracle to search."""
    failed = "SELECT id FROM collection_schoolfetch WHERE run_id = %s AND state = 'failed'"
    results = "SELECT id FROM django_celery_results_taskresult ORDER BY id DESC LIMIT 20"
    paths = [
        "/admin/", "/admin/runs/", f"/admin/runs/{run}/", "/admin/failures/", "/admin/alerts/",
        "/admin/django_celery_results/taskresult/", "/admin/admin/logentry/",
        *(f"/admin/fetches/{pk}/" for (pk,) in rig.database.rows(failed, run)),
        *(f"/admin/django_celery_results/taskresult/{pk}/change/"
          for (pk,) in rig.database.rows(results)),
    ]  # fmt: skip
    visitor = rig.console()
    for number, path in enumerate(paths):
        (rig.folder / f"page-{number}.html").write_text(visitor.page(path))
    rig.notes.append(f"{len(paths)} pages")


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
    status = rig.trapped(Trap("detached"), "retention")
    rig.bound("not killed", status != -signal.SIGKILL, 0)
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
    "schedule names a task of somebody else; the base address is 169.254.169.254; NEIS redirects "
    "to another host",
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
    rig.bound("link-local address taken", not _is_link_local_refused(rig), 0)
    (code,) = rig.choose(1)
    rig.emulator.faults.switch([only("redirect", code)])
    rig.injected.note("redirect")
    rig.expectation.failed.add(code)
    rig.expectation.revisions[code] = 0
    rig.world.revision = 1
    told = errors(rig, rig.collect())
    rig.bound("redirects followed", told != {code: "bad_request"}, 0)


def _is_link_local_refused(rig: Rig) -> bool:
    rig.injected.note("link-local base address")
    before = rig.stack.settings
    rig.stack.settings = {**before, "NEIS_BASE_URL": "http://169.254.169.254/hub"}
    refused = rig.stack.begin("sync_schools")
    rig.stack.settings = before
    _, said = refused.communicate(timeout=60)
    return refused.returncode != 0 and "link-local" in said


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
