"""The console as a whole: getting in, and no page with a barrier."""

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

PAGES = [
    "/admin/",
    "/admin/runs/",
    "/admin/failures/",
    "/admin/held/",
    "/admin/coverage/",
    "/admin/timetables/",
    "/admin/exports/",
    "/admin/exports/new/",
    "/admin/exports/schedules/new/",
    "/admin/collection/job/",
    "/admin/collection/job/add/",
    "/admin/collection/school/",
]


def test_no_page_has_a_barrier_or_a_broken_script(administrator: Person) -> None:
    found = {}
    for path in PAGES:
        administrator.visit(path)
        if barriers := administrator.barriers():
            found[path] = barriers
    assert (found, administrator.complaints) == ({}, [])


def test_every_page_shows_whether_the_scheduler_is_alive(administrator: Person) -> None:
    page = administrator.visit("/admin/collection/school/")
    expect(page.locator("#console-status")).to_contain_text("The scheduler has never run")
