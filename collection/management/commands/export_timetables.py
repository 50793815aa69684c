import sys
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from collection import exporting
from collection.management import arguments, progress
from collection.planning import window


class Command(BaseCommand):
    help = "Writes stored timetables as CSV (.csv, .csv.gz), in UTF-8."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", type=arguments.week, required=True,
                            metavar="YYYY-MM-DD", help="A day of the first week.")  # fmt: skip
        parser.add_argument("--weeks", type=arguments.number_of_weeks, default=1, metavar="N")
        arguments.add_selection(parser)
        parser.add_argument("--output", type=Path, required=True, metavar="FILE")

    def handle(
        self,
        *args: Any,
        first: date,
        weeks: int,
        level: list[str],
        office: list[str],
        school: list[str],
        output: Path,
        **options: Any,
    ) -> None:
        self._check(output, office, school)
        selection = exporting.Selection(window(first, weeks), level, office, school)
        with progress.bar() as bar:
            expected = exporting.expected_rows(selection)
            task = bar.add_task(output.name, total=expected, note="")
            try:
                rows = exporting.write_file(
                    selection, output, on_rows=lambda rows: bar.update(task, completed=rows)
                )
            except OSError as error:
                self.stderr.write(
                    _("%(file)s could not be written: %(reason)s. Nothing half-made was left.")
                    % {"file": output, "reason": error.strerror}
                )
                sys.exit(1)
        self.stdout.write(_("%(rows)s entries in %(file)s") % {"rows": rows, "file": output})

    def _check(self, output: Path, office: list[str], school: list[str]) -> None:
        try:
            arguments.check_codes(offices=office, schools=school)
        except arguments.UnknownCodes as error:
            self._refuse(str(error))
        if not output.name.endswith((".csv", ".csv.gz")):
            self._refuse(_("%(file)s: the name must end in .csv or .csv.gz.") % {"file": output})
        if not output.parent.is_dir():
            self._refuse(_("There is no folder %(folder)s.") % {"folder": output.parent})

    def _refuse(self, message: str) -> NoReturn:
        self.stderr.write(message)
        sys.exit(2)
