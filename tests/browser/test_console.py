"""The console as a whole: getting in, and no page with a barrier."""

from collections.abc import Iterable

import pytest
from django.contrib.auth.models import Group, User
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult
from playwright.sync_api import Page, expect

from collection.models import FetchState, HeldWeek, Job, SchoolFetch, SchoolListSync
from tests.browser.person import Person
from tests.dashboard.everything import make_everything
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

EMPTY = [
    "/admin/",
    "/admin/runs/",
    "/admin/failures/",
    "/admin/failures/schools/",
    "/admin/held/",
    "/admin/coverage/",
    "/admin/timetables/",
    "/admin/exports/",
    "/admin/alerts/",
]
FULL = [
    "/admin/",
    "/admin/runs/",
    "/admin/runs/{run}/",
    "/admin/fetches/{failed}/",
    "/admin/fetches/{held}/",
    "/admin/failures/",
    "/admin/failures/schools/",
    "/admin/failures/attempts/",
    "/admin/failures/tasks/",
    "/admin/held/",
    "/admin/coverage/?until={monday}",
    "/admin/coverage/{monday}/?state=",
    "/admin/timetables/?q=학교",
    "/admin/timetables/{office}/{code}/?week={monday}",
    "/admin/timetables/{office}/{code}/",
    "/admin/exports/",
    "/admin/exports/new/",
    "/admin/exports/schedules/new/",
    "/admin/alerts/",
    "/admin/stop/",
    "/admin/collection/job/",
    "/admin/collection/job/add/",
    "/admin/collection/job/{job}/change/",
    "/admin/collection/job/{job}/delete/",
    "/admin/collection/job/{job}/history/",
    "/admin/collection/job/{job}/run/",
    "/admin/collection/job/import/",
    "/admin/collection/job/export/",
    "/admin/collection/school/",
    "/admin/collection/school/{school}/change/",
    "/admin/collection/office/",
    "/admin/collection/office/{office}/change/",
    "/admin/collection/schoollistsync/",
    "/admin/collection/schoollistsync/{list}/change/",
    "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_beat/periodictask/add/",
    "/admin/django_celery_beat/periodictask/{task}/change/",
    "/admin/django_celery_results/taskresult/",
    "/admin/django_celery_results/taskresult/{result}/change/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/auth/user/{user}/change/",
    "/admin/auth/group/",
    "/admin/auth/group/add/",
    "/admin/auth/group/{built_in}/change/",
    "/admin/axes/accessattempt/",
    "/admin/admin/logentry/",
    "/admin/password_change/",
]


def places() -> dict[str, object]:
    """What the addresses of FULL name."""
    held = HeldWeek.objects.select_related("school", "fetch").latest("pk")
    failed = SchoolFetch.objects.filter(state=FetchState.FAILED).latest("pk")
    return {
        "run": failed.run_id,
        "failed": failed.pk,
        "held": held.fetch_id,
        "monday": held.monday,
        "school": held.school_id,
        "office": held.school.office_id,
        "code": held.school.code,
        "job": Job.objects.latest("pk").pk,
        "list": SchoolListSync.objects.latest("pk").pk,
        "task": PeriodicTask.objects.latest("pk").pk,
        "result": TaskResult.objects.latest("pk").pk,
        "user": User.objects.latest("pk").pk,
        "built_in": Group.objects.earliest("pk").pk,
    }


def test_no_page_has_a_barrier_or_a_broken_script_by_day_or_by_night(
    administrator: Person,
) -> None:
    found = {}

    def walk(paths: Iterable[str]) -> None:
        for path in paths:
            administrator.visit(path)
            if barriers := administrator.barriers() + administrator.barriers_by_night():
                found[path] = barriers

    walk(EMPTY)
    make_everything()
    walk(path.format(**places()) for path in FULL)

    assert (found, administrator.complaints) == ({}, [])


def test_the_way_in_has_no_barrier(page: Page, stack: Stack) -> None:
    person = Person(page, stack.start_console())

    person.visit("/admin/login/")

    assert person.barriers() + person.barriers_by_night() == []


def test_every_page_shows_whether_the_scheduler_is_alive(administrator: Person) -> None:
    page = administrator.visit("/admin/collection/school/")
    expect(page.locator("#console-status")).to_contain_text("The scheduler has never run")
