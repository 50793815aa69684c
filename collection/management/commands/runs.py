import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from collection import runs
from collection.models import PauseReason, Run

SHOWN = 20


class Command(BaseCommand):
    help = "Lists the latest runs; pauses, resumes or cancels one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "pause", "resume", "cancel"])
        parser.add_argument("run", nargs="?", type=int, metavar="RUN")

    def handle(self, *args: Any, action: str, run: int | None, **options: Any) -> None:
        if action == "list":
            self._list()
        elif run is None:
            self.stderr.write(_("Which run? “python manage.py runs list” shows the latest."))
            sys.exit(2)
        elif not self._change(action, run):
            self.stderr.write(_("Run %(run)s is not in a state for that.") % {"run": run})
            sys.exit(3)

    def _list(self) -> None:
        for run in Run.objects.order_by("-id")[:SHOWN]:
            reason = f" ({run.get_pause_reason_display()})" if run.pause_reason else ""
            self.stdout.write(
                f"{run}  {run.created_at:%Y-%m-%d %H:%M}  {run.get_state_display()}{reason}"
            )

    def _change(self, action: str, run: int) -> bool:
        if action == "pause":
            return runs.pause(run, reason=PauseReason.OPERATOR)
        if action == "resume":
            return runs.resume(run)
        return bool(runs.cancel(run))
