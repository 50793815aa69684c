"""A run as an operator lives it: watched to its end, its failures found, retried and gone."""

import re

import pytest
from playwright.sync_api import expect

from collection.models import FetchState, SchoolFetch
from collection.neis_emulator import Emulator, Fault
from tests.browser.person import Person
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


def test_failures_are_seen_live_filtered_retried_and_gone(
    administrator: Person, stack: Stack, emulator: Emulator
) -> None:
    schools = [school.school_code for school in emulator.world.schools]
    doomed = [
        Fault("http_500", schools=frozenset(schools[:3])),
        Fault("html", schools=frozenset(schools[3:4])),
    ]
    stack.manage("sync_schools")
    emulator.faults.switch([*doomed, Fault("latency", seconds=0.5)])
    stack.start_worker(threads=2)
    stack.start_scheduler()
    following = stack.begin("collect", "--from", "2026-05-18", "--weeks", "1")

    page = administrator.visit("/admin/runs/")
    # The list is empty at first, and shows the run by itself.
    page.get_by_role("link", name=re.compile("^#")).first.click(timeout=60_000)
    headline = page.locator("#run-progress .headline")
    expect(headline).not_to_have_text("0.0 %", timeout=30_000)
    expect(headline).not_to_have_text("100.0 %")
    expect(headline).to_have_text("100.0 %", timeout=90_000)
    expect(page.locator("#run-progress")).to_contain_text("Ended with failures")
    following.communicate(timeout=30)

    errors = page.locator("#run-progress").get_by_role("row", name="NEIS reports a fault")
    errors.get_by_role("link").click()
    rows = page.locator("#fetch-rows tbody tr")
    expect(rows).to_have_count(3)
    assert administrator.barriers() == []

    emulator.faults.switch([])
    page.get_by_label("Select all on this page").check()
    expect(page.locator("[data-selected-count]")).to_have_text("3")
    page.locator("#fetch-rows").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Retry: 3. Go on?")).to_be_visible()
    assert administrator.barriers() == []
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_text("3 schools are tried again:")).to_be_visible()
    expect(rows.get_by_text("tried again")).to_have_count(3)

    page.get_by_text("3 schools are tried again:").get_by_role("link").click()
    expect(page.locator("#run-progress")).to_contain_text("Completed", timeout=60_000)
    retried = SchoolFetch.objects.filter(retried_by__isnull=False)
    assert {fetch.retried_by.state for fetch in retried if fetch.retried_by} == {
        FetchState.SUCCEEDED
    }
    assert administrator.complaints == []
