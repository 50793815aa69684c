"""Schedules of jobs, as django-celery-beat keeps them."""

import json
from datetime import datetime
from importlib import import_module
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.core.exceptions import ValidationError
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from collection import schedulable, scheduling, switching, tasks
from collection.models import Dataset, Job
from collection.planning import KOREA
from tests.collection.jobs import daily, every, make_job

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 12, tzinfo=KOREA)


@pytest.fixture(autouse=True)
def _no_jobs(db: None) -> None:
    Job.objects.all().delete()
    PeriodicTask.objects.all().delete()
    CrontabSchedule.objects.all().delete()


def test_beat_may_send_the_periodic_task_when_a_job_was_given_a_schedule() -> None:
    job = make_job(daily(4, weekday="1"), now=NOW)

    task = PeriodicTask.objects.get(job=job)
    schedulable.check(task)
    assert (task.task, json.loads(task.kwargs)) == ("collection.start_due", {"job": job.pk})
    assert (task.enabled, task.queue, task.expires_) == (True, "control", None)
    assert str(task.crontab.timezone) == "Asia/Seoul"


def test_rows_of_schedules_are_shared_and_never_changed_when_a_job_gets_another() -> None:
    job, other = make_job(now=NOW), make_job(now=NOW)
    assert CrontabSchedule.objects.count() == 1

    switching.set_schedule(job, daily(5), enabled=True, now=NOW)
    switching.set_schedule(job, every(6, "hours"), enabled=True, now=NOW)

    task = PeriodicTask.objects.get(job=job)
    assert task.crontab is None
    assert (task.interval.every, task.interval.period) == (6, "hours")
    assert PeriodicTask.objects.get(job=other).crontab.hour == "4"


def test_nothing_is_saved_when_a_schedule_is_refused() -> None:
    job = make_job(now=NOW)
    impossible = CrontabSchedule(
        minute="0", hour="4", day_of_month="31", month_of_year="2", timezone=KOREA
    )

    with pytest.raises(ValidationError):
        switching.set_schedule(job, impossible, enabled=True, now=NOW)

    assert PeriodicTask.objects.get(job=job).crontab.hour == "4"
    assert CrontabSchedule.objects.count() == 1


def test_beat_is_told_when_jobs_are_switched() -> None:
    jobs = [make_job(now=NOW, enabled=False) for _ in range(2)]
    make_job(now=NOW)
    PeriodicTasks.objects.update(last_update=NOW)

    assert switching.switch(Job.objects.all(), on=True, now=NOW) == 2

    assert PeriodicTask.objects.filter(job__in=jobs, enabled=True, last_run_at=None).count() == 2
    assert PeriodicTasks.last_change() > NOW


def test_periodic_task_goes_when_its_job_was_deleted() -> None:
    job, other = make_job(now=NOW), make_job(now=NOW)
    job_id = job.pk
    job.delete()

    tasks.start_due(job_id)
    tasks.start_due(other.pk)

    assert list(PeriodicTask.objects.values_list("job", flat=True)) == [other.pk]


# The seeds


def migration() -> Any:
    return import_module("collection.migrations.0005_seed_jobs")


def test_fresh_console_has_a_job_a_level_and_a_school_list_all_off_when_seeded() -> None:
    seeds = migration()
    seeds.add(apps, None)
    seeds.add(apps, None)

    jobs = Job.objects.select_related("periodic_task__crontab")
    assert sorted((job.dataset, *job.levels) for job in jobs) == [
        ("school_list",),
        ("timetable", "elementary"),
        ("timetable", "high"),
        ("timetable", "middle"),
        ("timetable", "special"),
    ]
    times = set()
    for job in jobs:
        task = job.periodic_task
        assert task is not None
        schedulable.check(task)
        assert not job.is_enabled
        times.add(scheduling.schedule_of(task, anchor=NOW).next_times(NOW, 1)[0].timetz())
    assert len(times) == 5
    assert Job.objects.get(dataset=Dataset.SCHOOL_LIST).name == "학교 목록 (매일)"
    schedulable.check(PeriodicTask.objects.get(name="collection.clean_results", enabled=True))


def test_jobs_in_use_stay_when_the_seeds_are_taken_back() -> None:
    seeds = migration()
    seeds.add(apps, None)
    switching.switch(Job.objects.filter(dataset=Dataset.SCHOOL_LIST), on=True, now=NOW)

    seeds.remove(apps, None)

    assert [job.dataset for job in Job.objects.all()] == [Dataset.SCHOOL_LIST]
    assert PeriodicTask.objects.count() == 1


def test_celery_installs_no_clean_up_of_its_own() -> None:
    assert current_app.conf.beat_scheduler == "collection.beat:OneScheduler"
    assert "celery.backend_cleanup" not in schedulable.TASKS
