"""Some of everything that the console shows."""

from datetime import timedelta

from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from django_celery_results.models import TaskResult

from collection import coverage, exports
from collection.models import (
    Alert,
    AlertKind,
    Export,
    ExportState,
    FetchState,
    RunState,
    School,
    SchoolListSync,
)
from tests.collection.admin.jobs import make_job
from tests.collection.ledger import make_run, make_school
from tests.collection.rows import MONDAY
from tests.dashboard.history import hold, make_ended


def make_everything(*, first: int = 0, count: int = 1) -> None:
    """`count` of each, told apart by the numbers from `first` on."""
    for number in range(first, first + count):
        _make_runs(number)
        _make_exports(number)
        _make_alert(number)
        _make_accounts(number)
        _make_tasks(number)
    coverage.refresh()


def _make_runs(number: int) -> None:
    office = f"{'BCDEFGHIJK'[number % 10]}10"
    job = make_job(f"Every week {number}", enabled=True)
    ended = make_run(job=job, state=RunState.INCOMPLETE, finished_at=timezone.now())
    failed = make_ended(
        make_school(f"71{number:05}", office=office), ended, FetchState.FAILED, attempts=3
    )
    hold(f"72{number:05}", office=office)
    make_ended(make_school(f"73{number:05}", office=office), make_run(job=job))
    failed.rejected_rows.create(reason="no_date", row={"ALL_TI_YMD": "nonsense"})
    SchoolListSync.objects.create(offices=[], started_at=timezone.now())


def _make_exports(number: int) -> None:
    now = timezone.now()
    ready = exports.ask(Export(first_monday=MONDAY, weeks=3), asked_by=None, now=now)
    Export.objects.filter(pk=ready.pk).update(
        state=ExportState.READY, file_name=f"{number}.csv", size=9, rows=1, sha256="0" * 64,
        manifest={"rows": 1}, finished_at=now, expires_at=now + timedelta(days=1),
    )  # fmt: skip


def _make_alert(number: int) -> None:
    now = timezone.now()
    Alert.objects.create(kind=AlertKind.HELD, subject=f"held:{number}", count=1, opened_at=now)


def _make_accounts(number: int) -> None:
    user = User.objects.create(username=f"user {number}", is_staff=True)
    user.groups.add(Group.objects.create(name=f"group {number}"))
    LogEntry.objects.create(
        user=user, content_type=ContentType.objects.get_for_model(School), object_id=f"{number}",
        object_repr="a school", action_flag=2, change_message="",
    )  # fmt: skip
    AccessAttempt.objects.create(
        username=user.username, ip_address="127.0.0.1", failures_since_start=5,
        attempt_time=timezone.now(),
    )  # fmt: skip


def _make_tasks(number: int) -> None:
    TaskResult.objects.create(task_id=f"{number}", task_name="some.task", status="FAILURE")
    crontab = CrontabSchedule.objects.create(minute=f"{number}")
    PeriodicTask.objects.create(name=f"task {number}", task="some.task", crontab=crontab)
