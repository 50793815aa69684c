import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from collection import runs, starting
from collection.management.keys import say_that_keys_are_missing
from collection.models import PauseReason, Run, SchoolFetch

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Lists the latest runs; pauses, resumes or cancels one, or retries its failed schools "
        "in a new run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "pause", "resume", "cancel", "retry"])
        parser.add_argument("run", nargs="?", type=int, metavar="RUN")

    def handle(self, *args: Any, action: str, run: int | None, **options: Any) -> None:
        if action == "list":
            self._list()
        elif run is None:
            self.stderr.write(_("Which run? “python manage.py runs list” shows the latest."))
            sys.exit(2)
        elif action == "retry":
            self._retry(run)
        elif not self._change(action, run):
            self.stderr.write(_("Run %(run)s is not in a state for that.") % {"run": run})
            sys.exit(3)

    def _list(self) -> None:
        for run in Run.objects.order_by("-id")[:SHOWN]:
            reason = run.get_pause_reason_display() or run.get_skip_reason_display()
            reason = reason and f" ({reason})"
            self.stdout.write(
                f"{run}  {run.created_at:%Y-%m-%d %H:%M}  {run.get_state_display()}{reason}"
            )

    def _retry(self, run: int) -> None:
        try:
            started = starting.retry(
                SchoolFetch.objects.filter(run=run), now=timezone.now(), started_by=None
            )
        except starting.NoKey:
            say_that_keys_are_missing(self.stderr)
            sys.exit(2)
        if not started:
            self.stderr.write(_("Run %(run)s has nothing to retry.") % {"run": run})
            sys.exit(3)
        for new in started:
            self.stdout.write(
                _("Run %(run)s retries %(count)s.") % {"run": new, "count": new.fetches.count()}
            )

    def _change(self, action: str, run: int) -> bool:
        if action == "pause":
            return runs.pause(run, reason=PauseReason.OPERATOR)
        if action == "resume":
            return runs.resume(run)
        return bool(runs.cancel(run))
