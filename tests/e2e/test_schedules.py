"""Due times with real schedulers and real workers: each starts one run, whoever is killed."""

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from collection.clock import database_now
from collection.models import (
    Dataset,
    FetchState,
    Heartbeat,
    Job,
    MissedPolicy,
    OverlapPolicy,
    Run,
    RunState,
    School,
    SkipReason,
    Trigger,
)
from collection.neis_emulator import Emulator, World, running
from tests.collection.jobs import every, make_job
from tests.collection.ledger import make_school
from tests.e2e import stack as stacks
from tests.e2e.stack import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

STEP = timedelta(seconds=6)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[stacks.Stack]:
    world = World(11, schools=20, offices=("T10",))
    emulator = Emulator(world, keys=(stacks.KEY,))
    with running(emulator), stacks.running(tmp_path, emulator.base_url, LOG_LEVEL="INFO") as stack:
        yield stack


@pytest.fixture(autouse=True)
def _pump() -> None:
    """The one periodic task of every installation: a test database was emptied of it."""
    PeriodicTask.objects.all().delete()
    interval = IntervalSchedule.objects.create(every=2, period="seconds")
    PeriodicTask.objects.create(
        name="collection.pump", task="collection.pump", interval=interval, expire_seconds=10
    )


def wait_until_seen(name: str) -> None:
    wait_until(lambda: Heartbeat.objects.filter(name=name).exists(), seconds=90)


def make_frequent_job(step: timedelta = STEP, **columns: object) -> Job:
    """An earlier run that is still open can't keep it from starting the next."""
    return make_job(
        every(int(step.total_seconds()), "seconds"),
        now=database_now(),
        overlap=OverlapPolicy.CANCEL,
        **columns,
    )


def due_times(job: Job) -> list[datetime | None]:
    return list(job.runs.order_by("due_at").values_list("due_at", flat=True))


def test_ten_due_times_start_ten_runs_when_there_are_two_schedulers_and_two_workers(
    stack: stacks.Stack,
) -> None:
    make_school()
    stack.start_worker("threads")
    stack.start_worker("prefork", threads=2, pool="prefork")
    stack.start_scheduler("beat-1")
    stack.start_scheduler("beat-2")
    wait_until_seen("scheduler")
    job = make_frequent_job()
    begin = job.settled_until
    assert begin is not None

    wait_until(lambda: len(due_times(job)) >= 10, seconds=120)

    assert due_times(job)[:10] == [begin + STEP * number for number in range(1, 11)]
    assert set(job.runs.values_list("trigger", "skip_reason")) == {(Trigger.SCHEDULE, "")}
    logs = [stack.log("beat-1"), stack.log("beat-2")]
    assert sum("standing by" in log for log in logs) == 1
    assert sum("This scheduler is at work" in log for log in logs) == 1


def test_missed_due_times_are_made_up_for_or_skipped_when_everything_was_killed(
    stack: stacks.Stack,
) -> None:
    make_school()
    hour = timedelta(hours=1)
    late = make_frequent_job(hour, missed=MissedPolicy.RUN_ONCE)
    skipped = make_frequent_job(hour, missed=MissedPolicy.SKIP)
    killed = [stack.start_worker(), stack.start_scheduler()]
    wait_until_seen("scheduler")
    for process in killed:
        process.send_signal(signal.SIGKILL)
        process.wait()

    # Nobody was there for three hours and a half.
    begin = timezone.now() - 3.5 * hour
    Job.objects.update(settled_until=begin)
    stack.start_worker()
    stack.start_scheduler()
    wait_until(lambda: Run.objects.count() >= 6, seconds=90)

    def kept(job: Job) -> list[tuple[datetime | None, str, str]]:
        return list(job.runs.order_by("due_at").values_list("due_at", "trigger", "skip_reason"))

    missed = [
        (begin + number * hour, Trigger.SCHEDULE, SkipReason.MISSED) for number in range(1, 4)
    ]
    assert kept(late) == [*missed[:2], (begin + 3 * hour, Trigger.CATCH_UP, "")]
    assert kept(skipped) == missed


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_work_goes_on_when_no_scheduler_is_there_and_database_and_broker_go_away(
    stack: stacks.Stack, pool: str
) -> None:
    make_school()
    worker = stack.start_worker("alone", threads=2, pool=pool)
    job = make_frequent_job()
    wait_until(lambda: job.runs.filter(state=RunState.COMPLETED).exists(), seconds=60)
    assert Heartbeat.objects.get().name == "watcher"

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    stack.stop_redis()
    known = len(due_times(job))
    wait_until(lambda: len(due_times(job)) >= known + 2, seconds=60)
    stack.start_redis()
    done = job.runs.filter(state=RunState.COMPLETED).count()
    wait_until(lambda: job.runs.filter(state=RunState.COMPLETED).count() >= done + 2, seconds=90)

    times = due_times(job)
    assert len(times) == len(set(times))
    worker.terminate()
    assert worker.wait(timeout=30) == 0


def test_watcher_rests_when_a_scheduler_is_at_work(stack: stacks.Stack) -> None:
    stack.start_scheduler()
    stack.start_worker()
    wait_until_seen("scheduler")
    Heartbeat.objects.filter(name="watcher").delete()
    begin = Heartbeat.objects.get(name="scheduler").seen_at

    wait_until(
        lambda: Heartbeat.objects.get(name="scheduler").seen_at > begin + timedelta(seconds=10),
        seconds=60,
    )

    assert not Heartbeat.objects.filter(name="watcher").exists()


def test_school_list_comes_in_and_a_failed_one_is_retried_when_it_is_a_job(
    stack: stacks.Stack,
) -> None:
    Job.objects.create(name="list", dataset=Dataset.SCHOOL_LIST)
    stack.start_worker()

    report = stack.collect("--job", "list")

    assert report["fetches"] == {"succeeded": 1}
    assert report["entries"]["received"] == sum(
        report["entries"][name] for name in ("stored", "unchanged", "rejected")
    )
    assert School.objects.count() == report["entries"]["stored"] > 0

    for number in range(400):
        make_school(f"X{number}")
    refused = stack.collect("--job", "list", expect=3)

    fetch = Run.objects.get(pk=refused["run"]).fetches.get()
    assert (fetch.state, fetch.error_class) == (FetchState.FAILED, "list_refused")
    assert not School.objects.filter(missed_lists__gt=0).exists()
    School.objects.filter(code__startswith="X").delete()
    stack.manage("runs", "retry", str(refused["run"]))
    again = Run.objects.get(retry_of=refused["run"])
    stack.manage("collect", "--follow", str(again.pk))
    fetch.refresh_from_db()
    assert fetch.retried_by == again.fetches.get(state=FetchState.SUCCEEDED)
