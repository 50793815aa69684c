"""Pages as people use them: the console as a process of its own, in a real Chromium.

A journey is skipped where no Chromium is found, and says what to install; with
REQUIRE_BROWSER=1, as the checks before a landing have it, it fails instead.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connections
from playwright.sync_api import Browser, Page, expect, sync_playwright

from collection.neis_emulator import Emulator, World, running
from tests.browser.person import Person
from tests.e2e import stack as stacks

# Playwright's loop runs in the thread of the test, which Django would take for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
# It would also keep connections of their own for the time that a loop runs, and give none of them
# back to the pool.
connections._connections = threading.local()  # type: ignore[assignment]

# On a busy machine a page takes its time.
expect.set_options(timeout=30_000)

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MISSING = (
    "There is no Chromium. On Debian: apt-get install chromium fonts-noto-cjk. "
    "CHROMIUM names one that is elsewhere."
)
# Without these Chromium asks Google's servers at every start.
_OFFLINE = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One for each test: while its loop runs, no other test could run one of its own."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_OFFLINE)
        yield browser
        browser.close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running(Emulator(World(21, schools=40, offices=("T10",)), keys=(stacks.KEY,))) as emulator:
        yield emulator


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator, transactional_db: None) -> Iterator[stacks.Stack]:
    with stacks.running(tmp_path, emulator.base_url, LOG_LEVEL="INFO") as stack:
        yield stack


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def administrator(page: Page, stack: stacks.Stack) -> Person:
    """Logged in, on the front page of a console that runs."""
    User.objects.create_superuser("admin", password="for-tests-only")
    person = Person(page, stack.start_console())
    person.log_in("admin", "for-tests-only")
    return person
