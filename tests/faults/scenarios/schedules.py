"""Due times: two schedulers, killed ones, missed ones, moved ones (F16 to F22)."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from tests.faults.rig import FIRST, PUMP, Rig
from tests.faults.scenarios import scenario
from tests.faults.visitor import Visitor

STEP = 6
"""Seconds between two due times."""


def make_job(rig: Rig, *, seconds: int = STEP, **columns: str | int) -> int:
    """An earlier run that is still open can't keep a job from starting the next."""
    told = {"seconds": seconds, "first": str(FIRST), "overlap": "cancel", **columns}
    job: int = rig.order("make_job", json.dumps(told))["made"]
    return job


def begin_of(rig: Rig, job: int) -> datetime:
    begin: datetime = rig.database.value(
        "SELECT settled_until FROM collection_job WHERE id = %s", job
    )
    return begin


def kept(rig: Rig, job: int) -> list[datetime]:
    query = "SELECT due_at FROM collection_run WHERE job_id = %s ORDER BY due_at, id"
    return [due_at for (due_at,) in rig.database.rows(query, job)]


def wait_for_kept(rig: Rig, job: int, count: int) -> None:
    rig.wait_until(lambda: len(kept(rig, job)) >= count, 120)


def bound_due_times(rig: Rig, job: int, begin: datetime) -> None:
    """One row for each due time from the first to the last: none left out, none twice."""
    times = kept(rig, job)
    planned = [begin + timedelta(seconds=STEP * number) for number in range(1, len(times) + 1)]
    wrong = sum(due_at != plan for due_at, plan in zip(times, planned, strict=True))
    rig.bound("due times doubled or left out", wrong, 0)
    rig.notes.append(f"{len(times)} due times")


def end_with_a_whole_run(rig: Rig, *jobs: int) -> None:
    """What the job cancelled is made good, so that the judge has something to compare."""
    for job in jobs:
        rig.database.rows(
            "UPDATE django_celery_beat_periodictask SET enabled = false WHERE id ="
            " (SELECT periodic_task_id FROM collection_job WHERE id = %s)",
            job,
        )
    time.sleep(2 * PUMP)
    rig.wait_until(
        lambda: (
            not rig.database.value(
                "SELECT count(*) FROM collection_run WHERE state IN ('running', 'paused')"
            )
        ),
        120,
    )
    rig.collect()


@scenario(
    "F16",
    inject="Two schedulers at work over ten due times",
    expect="One run for each due time",
    schools=20,
    quick_schools=8,
)
def two_schedulers(rig: Rig) -> None:
    rig.workers(1)
    rig.beat("beat-1")
    rig.beat("beat-2")
    rig.injected.note("second scheduler")
    job = make_job(rig)
    begin = begin_of(rig, job)
    wait_for_kept(rig, job, 10 if rig.full else 4)
    bound_due_times(rig, job, begin)
    end_with_a_whole_run(rig, job)


@scenario(
    "F17",
    inject="The scheduler is killed a second after a run has started, and restarted; 10 times",
    expect="One run for each due time",
    schools=20,
    quick_schools=8,
)
def killed_scheduler(rig: Rig) -> None:
    rig.workers(1)
    beat = rig.beat()
    job = make_job(rig)
    begin = begin_of(rig, job)
    for _ in range(10 if rig.full else 3):
        known = len(kept(rig, job))
        wait_for_kept(rig, job, known + 1)
        time.sleep(1)
        rig.injected.note("scheduler killed")
        beat.send(signal.SIGKILL)
    bound_due_times(rig, job, begin)
    end_with_a_whole_run(rig, job)


@scenario(
    "F18",
    inject="Redis is away for 2 min around due times",
    expect="Each due time has its run, with the original time",
    schools=20,
    quick_schools=8,
)
def redis_away_at_due_time(rig: Rig) -> None:
    rig.workers(1)
    rig.beat()
    job = make_job(rig)
    begin = begin_of(rig, job)
    wait_for_kept(rig, job, 1)
    rig.injected.note("Redis away")
    rig.redis.kill()
    time.sleep(120 if rig.full else 15)
    rig.redis.restart()
    back_at, known = time.time(), len(kept(rig, job))
    wait_for_kept(rig, job, known + 2)
    rig.bound("next due times after s", time.time() - back_at, 5 * 60 + STEP)
    bound_due_times(rig, job, begin)
    end_with_a_whole_run(rig, job)


@scenario(
    "F19",
    inject="Nobody is there for seven hours and a half of an hourly job",
    expect="By its policy one late run, for the latest due time, or none; each missed one is noted",
    schools=20,
    quick_schools=8,
)
def missed_due_times(rig: Rig) -> None:
    late = make_job(rig, seconds=3600, missed="run_once")
    skipped = make_job(rig, seconds=3600, missed="skip")
    rig.injected.note("seven due times missed")
    rig.database.rows(
        "UPDATE collection_job SET settled_until = now() - interval '7.5 hours' WHERE id IN (%s, %s)",
        late,
        skipped,
    )
    begin = begin_of(rig, late)
    rig.workers(1)
    rig.beat()
    rig.wait_until(lambda: kept(rig, late) and kept(rig, skipped), 60)
    time.sleep(2 * PUMP)
    query = (
        "SELECT due_at, trigger, skip_reason FROM collection_run WHERE job_id = %s ORDER BY due_at"
    )
    *missed, last = rig.database.rows(query, late)
    hour = timedelta(hours=1)
    rig.bound("late run not as wanted", last != (begin + 7 * hour, "catch_up", ""), 0)
    noted = [*missed, *rig.database.rows(query, skipped)]
    wrong = sum((trigger, reason) != ("schedule", "missed") for _, trigger, reason in noted)
    rig.bound("missed ones noted otherwise", wrong, 0)
    rig.notes.append(f"{len(noted)} missed due times noted")
    rig.wait_until(lambda: rig.count("waiting", "running") == 0, 60)
    rig.collect()


_FAIL_FOUR_TIMES = """
CREATE SEQUENCE witness.syncs;
GRANT USAGE ON SCHEMA witness TO neis;
GRANT USAGE ON SEQUENCE witness.syncs TO neis;
CREATE FUNCTION witness.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('witness.syncs') <= 4 THEN RAISE EXCEPTION 'refused'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fail BEFORE UPDATE ON django_celery_beat_periodictask
   FOR EACH ROW WHEN (OLD.last_run_at IS DISTINCT FROM NEW.last_run_at)
   EXECUTE FUNCTION witness.fail();
"""


@scenario(
    "F20",
    inject="PostgreSQL refuses what the scheduler writes down, four times in a row",
    expect="One run for each due time",
    schools=20,
    quick_schools=8,
)
def refused_sync(rig: Rig) -> None:
    rig.workers(1)
    rig.database.rows(_FAIL_FOUR_TIMES)
    rig.beat()
    job = make_job(rig)
    begin = begin_of(rig, job)
    rig.injected.note("sync refused")
    rig.wait_until(lambda: rig.database.value("SELECT last_value > 4 FROM witness.syncs"), 120)
    wait_for_kept(rig, job, len(kept(rig, job)) + 2)
    bound_due_times(rig, job, begin)
    end_with_a_whole_run(rig, job)


@scenario(
    "F21",
    inject="20 starts of one job at once, half of them by the button of the console; and again "
    "while its run is open",
    expect="One open run; the others are refused, and told which one; no page fails",
    schools=50,
    quick_schools=20,
)
def many_starts(rig: Rig) -> None:
    job = make_job(rig, seconds=3600, overlap="skip")
    rig.slow(0.3)
    visitor = rig.console()
    for starts in (1, 0):
        rig.injected.note("20 starts")
        told = _start_everywhere(rig, visitor, job)
        runs = rig.database.rows("SELECT id FROM collection_run")
        rig.bound(f"starts beyond {starts}", abs(told.count("") - starts), 0)
        rig.bound("runs", len(runs), 1)
        ((run,),) = runs
        unnamed = sum(bool(text) and f"#{run}" not in text for text in told)
        rig.bound("refusals that name no run", unnamed, 0)
    rig.workers(1)
    rig.pump()
    rig.wait_for_end(run)
    rig.collect()


def _start_everywhere(rig: Rig, visitor: Visitor, job: int) -> list[str]:
    """What each of twenty is told; "" for one whose run was started."""
    with ThreadPoolExecutor(10) as threads:
        pressed = threads.map(lambda _: _press(visitor, job), range(10))
        called: list[str] = rig.order("start_at_once", str(job), "10")["made"]
        return [*called, *pressed]


def _press(visitor: Visitor, job: int) -> str:
    path = f"/admin/collection/job/{job}/run/"
    answer = visitor.post(path, first_day=str(FIRST), weeks="1")
    assert answer.status_code == 200, answer.status_code
    return "" if " was started." in answer.text else answer.text


@scenario(
    "F22",
    inject="A schedule is moved to an hour that is past; switched off and on by its form, in bulk, "
    "and by SQL",
    expect="No run that nobody planned",
    schools=20,
    quick_schools=8,
)
def moved_schedule(rig: Rig) -> None:
    rig.workers(1)
    rig.beat()
    probe = make_job(rig)
    wait_for_kept(rig, probe, 1)
    job = make_job(rig, seconds=3600)
    toggle = (
        "UPDATE django_celery_beat_periodictask SET enabled = NOT enabled WHERE id ="
        " (SELECT periodic_task_id FROM collection_job WHERE id = %s)"
    )
    settle = 2 * PUMP + 6
    for name, act in {
        "moved to a past hour": lambda: rig.order("move_job", str(job)),
        "off and on by form": lambda: rig.order("switch_job", str(job)),
        "off by SQL": lambda: rig.database.rows(toggle, job),
        "on by SQL, the due time past": lambda: rig.database.rows(toggle, job),
    }.items():
        rig.injected.note(name)
        act()
        time.sleep(settle)
    rig.bound("unplanned runs", len(kept(rig, job)), 0)
    known = len(kept(rig, probe))
    wait_for_kept(rig, probe, known + 1)
    end_with_a_whole_run(rig, probe, job)
