"""Starts, stops and shows the embedded PostgreSQL and Redis."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config import embedded

EXIT_NOT_RUNNING = 3


class Command(BaseCommand):
    help = _("Starts, stops and shows the embedded PostgreSQL and Redis.")
    # The database may be the one to be started.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status"])

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        self._name_outside_servers()
        try:
            states = _act(action)
        except embedded.EmbeddedServiceError as error:
            raise CommandError(str(error)) from error
        for state in states:
            self.stdout.write(_describe(state))
        if action == "status" and not all(state.is_running for state in states):
            raise SystemExit(EXIT_NOT_RUNNING)

    def _name_outside_servers(self) -> None:
        for name in sorted(embedded.NAMES - settings.EMBEDDED_SERVICES):
            self.stdout.write(_("%(name)s: an outside server is used") % {"name": name})


def _act(action: str) -> list[embedded.Status]:
    act = {"start": embedded.start, "stop": embedded.stop, "status": embedded.status}[action]
    return act(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)


def _describe(state: embedded.Status) -> str:
    values = {"name": state.name, "pid": state.pid, "socket": state.socket}
    if state.is_running:
        return _("%(name)s: running (process %(pid)s, %(socket)s)") % values
    if state.pid is not None:
        return _("%(name)s: not ready yet (process %(pid)s)") % values
    return _("%(name)s: not running") % values
