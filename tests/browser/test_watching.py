"""A missing school is found through the map, collected, and its timetable looked at."""

from datetime import date

import pytest
from playwright.sync_api import expect

from collection import coverage
from collection.models import School, SchoolFetch
from collection.neis_emulator import Emulator, Fault
from tests.browser.person import Person
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
MONDAY = date(2026, 5, 18)


def test_missing_school_is_found_on_the_map_and_collected(
    administrator: Person, stack: Stack, emulator: Emulator
) -> None:
    world = emulator.world
    missing = next(
        school
        for school in world.schools
        if school.level == "elementary"
        and world.truth(school.office_code, school.school_code, MONDAY)
    )
    stack.manage("sync_schools")
    emulator.faults.switch([Fault("http_500", schools=frozenset({missing.school_code}))])
    stack.start_worker()
    stack.collect("--from", str(MONDAY), "--weeks", "1", expect=3)
    coverage.refresh()
    emulator.faults.switch([])

    page = administrator.visit(f"/admin/coverage/?until={MONDAY}")
    page.locator("td[class*=trouble] a").click()
    row = page.get_by_role("row").filter(has_text=missing.school_code)
    expect(row).to_contain_text("NEIS reports a fault of its own")
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name="Collect").click()
    expect(page.locator("body")).to_contain_text("1 school is being collected")
    stack.collect("--follow", str(SchoolFetch.objects.latest("pk").run_id))
    coverage.refresh()

    page = administrator.visit(f"/admin/coverage/?until={MONDAY}")
    expect(page.locator("td[class*=trouble]")).to_have_count(0)
    school = School.objects.get(code=missing.school_code)
    page = administrator.visit(f"/admin/timetables/?q={school.name}")
    page.get_by_role("row").filter(has_text=school.code).get_by_role("link").click()
    page.get_by_label("Week of").fill(str(MONDAY))
    page.get_by_role("button", name="Show").click()
    lessons = [
        row
        for row in world.truth(missing.office_code, missing.school_code, MONDAY)
        if (row["GRADE"], row["CLASS_NM"]) == ("1", "1")
    ]
    expect(page.locator(".timetable .lesson")).to_have_count(len(lessons))
    assert (administrator.barriers(), administrator.complaints) == ([], [])
