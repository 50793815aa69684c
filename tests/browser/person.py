"""What a person does in the console."""

import re
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, expect

_LEVELS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


@dataclass
class Person:
    """`complaints` are the errors that the browser itself reports: broken scripts, refused sources."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        # A page that is left while it asks for a piece of itself: htmx calls that an error.
        if message.type == "error" and message.text != "htmx:sendAbort":
            self.complaints.append(f"{self.page.url}: {message.text}")

    def log_in(self, name: str, password: str) -> None:
        self.page.goto(f"{self.address}/admin/login/?next=/admin/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", password)
        self.page.click("#login-form button[type=submit]")
        expect(self.page).to_have_url(re.compile("/admin/$"))

    def visit(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def barriers(self) -> list[str]:
        """What axe-core holds against the page as it stands, at levels A and AA."""
        return _told(Axe().run(self.page, options=_LEVELS).response["violations"])

    def barriers_by_night(self) -> list[str]:
        """After `barriers`, the same of the dark colours: nothing else is different in them."""
        self.page.evaluate("document.documentElement.classList.add('dark')")
        # Unfold lets colours fade from one to the other.
        self.page.wait_for_timeout(200)
        result = self.page.evaluate("axe.run(document, {runOnly: ['color-contrast']})")
        return _told(result["violations"])


def _told(violations: list[dict[str, Any]]) -> list[str]:
    return [
        f"{found['id']}: {node['target']} {node['failureSummary']}"
        for found in violations
        for node in found["nodes"][:3]
    ]
