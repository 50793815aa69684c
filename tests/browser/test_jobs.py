"""A job as an operator lives it: planned, switched on, run, cancelled, retried, moved to Tuesday."""

import re

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from playwright.sync_api import Page, expect

from collection.models import Job, Run, RunState, School, Trigger
from collection.neis_emulator import Emulator, Fault
from tests.browser.person import Person
from tests.e2e.stack import Stack, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

NAME = "고등학교 월요일"
JOBS = "/admin/collection/job/"


def test_job_is_planned_switched_run_cancelled_retried_and_moved(
    administrator: Person, stack: Stack, emulator: Emulator
) -> None:
    stack.manage("sync_schools")
    doomed = School.objects.filter(level="high").first()
    assert doomed is not None
    emulator.faults.switch([Fault("latency", seconds=1.5)])
    stack.start_worker(threads=2)
    stack.start_scheduler()

    page = administrator.visit(f"{JOBS}add/")
    _plan_mondays_at_four(page)
    assert administrator.barriers() == []
    page.get_by_role("button", name="Save", exact=True).click()

    row = page.get_by_role("row", name=NAME)
    expect(row).to_contain_text("Every Monday at 04:00")
    switch = row.get_by_role("switch")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(row.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    assert PeriodicTask.objects.get(job__name=NAME).enabled
    assert administrator.barriers() == []

    first = _run_now(administrator, page)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("Go on?")).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#run-progress")).to_contain_text("Cancelled")
    assert Run.objects.get(pk=first).state == RunState.CANCELLED

    emulator.faults.switch([Fault("http_500", schools=frozenset({doomed.code}))])
    second = _run_now(administrator, page)
    expect(page.locator("#run-progress")).to_contain_text("Ended with failures", timeout=90_000)
    emulator.faults.switch([])
    administrator.visit(f"/admin/runs/{second}/?state=failed")
    page.get_by_label("Select all on this page").check()
    page.locator("#fetch-rows").get_by_role("button", name="Retry").click()
    expect(page.get_by_text(re.compile("tried again:"))).to_be_visible()
    retry = Run.objects.get(trigger=Trigger.RETRY)
    wait_until(lambda: Run.objects.get(pk=retry.pk).state == RunState.COMPLETED, seconds=60)

    _move_to_tuesday(administrator, page)
    task = PeriodicTask.objects.select_related("crontab").get(job__name=NAME)
    assert (task.crontab.day_of_week, task.crontab.hour, task.crontab.minute) == ("2", "4", "0")
    _switch_off_and_on_and_see_that_nothing_fires(administrator, page)
    assert administrator.complaints == []


def _plan_mondays_at_four(page: Page) -> None:
    page.locator("#id_name").fill(NAME)
    page.get_by_label("High school", exact=True).check()
    page.get_by_label("Monday", exact=True).check()
    page.locator("#id_time_of_day").fill("04:00")
    preview = page.locator("#job-preview")
    expect(preview).to_contain_text("Every Monday at 04:00")
    times = preview.locator("ol li")
    expect(times).to_have_count(5)
    expect(times.first).to_contain_text("04:00")
    expect(preview).to_contain_text("Schools")


def _run_now(administrator: Person, page: Page) -> int:
    """Leaves the page of the run open; returns its number."""
    administrator.visit(JOBS)
    page.get_by_role("row", name=NAME).get_by_role("link", name=f"Run {NAME} now").click()
    page.get_by_label("First week").fill("2026-05-18")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("#run-progress")).to_be_visible()
    return Run.objects.latest("id").pk


def _move_to_tuesday(administrator: Person, page: Page) -> None:
    job = Job.objects.get(name=NAME)
    administrator.visit(f"{JOBS}{job.pk}/change/")
    page.get_by_label("Monday", exact=True).uncheck()
    page.get_by_label("Tuesday", exact=True).check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("row", name=NAME)).to_contain_text("Every Tuesday at 04:00")


def _switch_off_and_on_and_see_that_nothing_fires(administrator: Person, page: Page) -> None:
    """With a due time within the time that it was off."""
    runs, now = Run.objects.count(), timezone.now()
    administrator.visit(JOBS)
    page.get_by_role("row", name=NAME).get_by_role("switch").click()
    expect(page.get_by_role("row", name=NAME).get_by_role("switch")).to_have_attribute(
        "aria-checked", "false"
    )
    page.get_by_role("row", name=NAME).get_by_role("switch").click()
    expect(page.get_by_text("skipped").first).to_be_visible()
    # The pump and beat have each looked several times by then.
    page.wait_for_timeout(8_000)
    assert Run.objects.count() == runs
    assert not Run.objects.filter(created_at__gte=now).exists()
