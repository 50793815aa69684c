"""Beat's scheduler: one works, and it sends what may be sent."""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from collection import schedulable
from collection.beat import OneScheduler

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder(OneScheduler):
    """Sends nothing, and remembers what it would have sent."""

    def apply_async(self, entry: Any, **kwargs: Any) -> None:
        self.sent = [*getattr(self, "sent", []), entry.name]


@pytest.fixture
def schedulers() -> Iterator[list[Recorder]]:
    PeriodicTask.objects.all().delete()
    both = [Recorder(app=current_app._get_current_object()) for _ in range(2)]
    # Nothing has to reach a broker.
    for each in both:
        each.__dict__["producer"] = None
    yield both
    for each in both:
        each._lock.release()
        each._finalize.cancel()


def make_task(name: str = "pump", task: str = schedulable.PUMP, **fields: Any) -> PeriodicTask:
    second, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
    made = PeriodicTask.objects.create(name=name, task=task, interval=second, **fields)
    PeriodicTask.objects.filter(pk=made.pk).update(last_run_at="2026-01-01T00:00Z")
    return made


def sent(scheduler: Recorder) -> list[str]:
    for _ in range(5):
        scheduler.tick()
    return getattr(scheduler, "sent", [])


def test_second_stands_by_until_the_first_is_gone_when_there_are_two(
    schedulers: list[Recorder],
) -> None:
    first, second = schedulers
    make_task()

    assert sent(first) == ["pump"]
    assert sent(second) == []

    first.close()
    PeriodicTask.objects.update(last_run_at="2026-01-01T00:00Z")
    assert sent(second) == ["pump"]


def test_task_is_sent_when_the_last_scheduler_was_two_hours_ahead(
    schedulers: list[Recorder],
) -> None:
    make_task()
    PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(hours=2))

    sent(schedulers[0])
    time.sleep(1.1)
    assert sent(schedulers[0]) == ["pump"]


def test_scheduler_goes_on_when_its_connections_were_cut(schedulers: list[Recorder]) -> None:
    first, _ = schedulers
    make_task()
    assert sent(first) == ["pump"]

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    first._lock._seen_at = 0.0
    PeriodicTask.objects.update(last_run_at="2026-01-01T00:00Z")

    assert first.tick() > 0
    assert sent(first) == ["pump", "pump"]


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"task": "collection.pump"}, True),
        ({"task": "collection.start_due", "kwargs": '{"job": 3}', "queue": "control"}, True),
        ({"task": "collection.clean_results"}, True),
        ({"task": "collection.fetch_school", "args": "[1]"}, False),
        ({"task": "os.system"}, False),
        ({"task": "celery.backend_cleanup"}, False),
        ({"task": "collection.start_due"}, False),
        ({"task": "collection.start_due", "args": "[3]"}, False),
        ({"task": "collection.start_due", "kwargs": '{"job": "3"}'}, False),
        ({"task": "collection.start_due", "kwargs": '{"job": true}'}, False),
        ({"task": "collection.start_due", "kwargs": '{"job": 3, "more": 1}'}, False),
        ({"task": "collection.start_due", "kwargs": "[]"}, False),
        ({"task": "collection.start_due", "kwargs": "no JSON"}, False),
        ({"task": "collection.pump", "queue": "fetch.high"}, False),
        ({"task": "collection.pump", "exchange": "fetch.high"}, False),
    ],
    ids=str,
)
def test_periodic_task_is_allowed_or_refused_when_it_is(
    fields: dict[str, str], allowed: bool
) -> None:
    task = PeriodicTask(**fields)

    if allowed:
        schedulable.check(task)
    else:
        with pytest.raises(ValidationError):
            schedulable.check(task)


def test_foreign_and_unreadable_tasks_are_not_sent_and_the_others_are_when_all_are_due(
    schedulers: list[Recorder], caplog: pytest.LogCaptureFixture
) -> None:
    make_task("foreign", "os.system")
    for number, minute in enumerate(["nonsense", "1-", "*/"]):
        crontab = CrontabSchedule.objects.create(minute=minute)
        PeriodicTask.objects.create(
            name=f"unreadable {number}", task=schedulable.PUMP, crontab=crontab
        )
    make_task()
    PeriodicTasks.update_changed()

    with caplog.at_level(logging.ERROR):
        assert sent(schedulers[0]) == ["pump"]

    assert [record.levelname for record in caplog.records] == ["ERROR"] * 4


def test_every_allowed_task_exists() -> None:
    import collection.tasks  # noqa: F401

    assert set(schedulable.TASKS) <= set(current_app.tasks)
