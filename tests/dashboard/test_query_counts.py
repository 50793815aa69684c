"""Lists ask the same number of queries however long they are: those without a test beside them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from django_celery_results.models import TaskResult

from collection import coverage
from collection.models import (
    FetchState,
    HeldWeek,
    School,
    SchoolFetch,
    SchoolListSync,
    SchoolWeek,
)
from dashboard.roles import ADMINISTRATOR
from tests.collection.ledger import make_run, make_school
from tests.collection.rows import MONDAY
from tests.dashboard.history import make_ended
from tests.dashboard.people import client_of

pytestmark = pytest.mark.django_db

LISTS = [
    "/admin/failures/schools/",
    "/admin/failures/attempts/",
    "/admin/failures/tasks/",
    "/admin/held/",
    f"/admin/coverage/{MONDAY}/",
    "/admin/timetables/?q=학교",
    "/admin/collection/school/",
    "/admin/collection/office/",
    "/admin/collection/schoollistsync/",
    "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_results/taskresult/",
    "/admin/auth/user/",
    "/admin/auth/group/",
    "/admin/admin/logentry/",
]


@pytest.fixture
def administrator() -> Client:
    return client_of(ADMINISTRATOR)


def fill(numbers: Iterator[int], count: int) -> None:
    """`count` of everything that the lists show."""
    run = make_run()
    for number, _ in zip(numbers, range(count), strict=False):
        office = f"{'BCDEFGHIJK'[number % 10]}10"
        failed = make_ended(make_school(f"7{number:06}", office=office), run, FetchState.FAILED)
        make_held(failed)
        make_things(number)
    coverage.refresh()


def make_held(fetch: SchoolFetch) -> None:
    assert fetch.school is not None
    HeldWeek.objects.create(
        fetch=fetch, school=fetch.school, monday=MONDAY, digest=b"", old_entries=30,
        new_entries=1, payload=b"", held_at=timezone.now(),
    )  # fmt: skip
    SchoolWeek.objects.create(
        school=make_school(f"8{fetch.school.code[1:]}", office=fetch.school.office_id),
        monday=MONDAY, digest=b"", entries=0, changed_at=timezone.now(),
        checked_at=timezone.now(),
    )  # fmt: skip


def make_things(number: int) -> None:
    now = timezone.now()
    TaskResult.objects.create(task_id=f"{number}", task_name="some.task", status="FAILURE")
    SchoolListSync.objects.create(offices=[], started_at=now - timedelta(days=number))
    crontab = CrontabSchedule.objects.create(minute=f"{number}")
    PeriodicTask.objects.create(name=f"task {number}", task="some.task", crontab=crontab)
    user = User.objects.create(username=f"user {number}", is_staff=True)
    user.groups.add(Group.objects.create(name=f"group {number}"))
    LogEntry.objects.create(
        user=user, content_type=ContentType.objects.get_for_model(School), object_id=f"{number}",
        object_repr="a school", action_flag=2, change_message="",
    )  # fmt: skip


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_lists_ask_the_same_number_of_queries_for_ten_times_the_rows(
    administrator: Client,
) -> None:
    numbers = iter(range(20))
    fill(numbers, 2)
    for path in LISTS:  # The content types are looked up once for each process.
        administrator.get(path)
    few = {path: queries_of(administrator, path) for path in LISTS}

    fill(numbers, 18)

    assert {path: queries_of(administrator, path) for path in LISTS} == few
    assert max(few.values()) <= 20


def test_a_group_with_every_permission_is_shown_in_few_queries(administrator: Client) -> None:
    group = Group.objects.get(name=ADMINISTRATOR)

    assert queries_of(administrator, f"/admin/auth/group/{group.pk}/change/") <= 10
