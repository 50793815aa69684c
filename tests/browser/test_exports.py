"""An export as a person has it: planned, asked for, followed, downloaded."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person
from tests.collection.exporting.stored import HARD_SUBJECTS, some_schools
from tests.e2e import stack as stacks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def test_a_person_plans_asks_and_downloads(administrator: Person, stack: stacks.Stack) -> None:
    some_schools()
    page = administrator.visit("/admin/exports/new/")
    page.get_by_label("First week").fill("2026-06-10")
    page.get_by_label("Schools", exact=True).fill("7010118")
    expect(page.locator("#plan")).to_contain_text(f"{len(HARD_SUBJECTS)} rows")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.locator("#exports")).to_contain_text("Waiting")

    stack.start_worker(threads=2)
    stack.begin("pump", "--forever")
    row = page.locator("#exports tbody tr").first
    expect(row).to_contain_text("Ready", timeout=60_000)
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    assert re.fullmatch(r"시간표_2026-06-08_\d{8}-\d{6}\.csv", download.value.suggested_filename)
    text = download.value.path().read_bytes()
    assert text.startswith("\ufeff교육청코드".encode())
    assert "'- 자율활동".encode() in text
    assert administrator.barriers() == []
    assert administrator.complaints == []
