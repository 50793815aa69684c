import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from collection import exporting
from collection.management import arguments, progress
from collection.models import Audience, Encoding, FileFormat, HeaderStyle
from collection.planning import window

_ENDINGS = {f".{file_format.value}": file_format for file_format in FileFormat}


class Command(BaseCommand):
    help = (
        "Writes stored timetables as CSV: .csv, .csv.gz, or .zip with one file an office. For"
        " machines unless told otherwise: UTF-8, every cell as it is stored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", type=arguments.week, required=True,
                            metavar="YYYY-MM-DD", help="A day of the first week.")  # fmt: skip
        parser.add_argument("--weeks", type=arguments.number_of_weeks, default=1, metavar="N")
        arguments.add_selection(parser)
        parser.add_argument("--output", type=Path, required=True, metavar="FILE")
        audience = parser.add_mutually_exclusive_group()
        audience.add_argument("--for-people", dest="audience", action="store_const",
                              const=Audience.PEOPLE, default=Audience.MACHINES,
                              help="As a spreadsheet wants it: a byte order mark, a Korean header,"
                              " CRLF, no cell that runs as a formula.")  # fmt: skip
        audience.add_argument("--for-machines", dest="audience", action="store_const",
                              const=Audience.MACHINES, help="The default.")  # fmt: skip
        parser.add_argument("--encoding", choices=Encoding.values,
                            help="In place of what goes with the audience.")  # fmt: skip
        parser.add_argument("--header", choices=HeaderStyle.values,
                            help="In place of what goes with the audience.")  # fmt: skip
        parser.add_argument("--manifest", action="store_true",
                            help="Writes FILE.manifest.json too: filter, coverage, checksum.")  # fmt: skip

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
        file_format = self._check(output, office, school)
        selection = exporting.Selection(window(first, weeks), level, office, school)
        form = _form(
            file_format, **{name: options[name] for name in ("audience", "encoding", "header")}
        )
        with progress.bar() as bar:
            task = bar.add_task(output.name, total=exporting.expected_rows(selection), note="")
            try:
                manifest = exporting.write_file(
                    selection, form, output,
                    on_progress=lambda rows, size: bar.update(task, completed=rows),
                )  # fmt: skip
                if options["manifest"]:
                    beside = output.with_name(f"{output.name}.manifest.json")
                    beside.write_bytes(exporting.dumped(manifest.as_json()))
            except OSError as error:
                self.stderr.write(
                    _("%(file)s could not be written: %(reason)s. Nothing half-made was left.")
                    % {"file": output, "reason": error.strerror}
                )
                sys.exit(1)
        self._tell(manifest, output)

    def _tell(self, manifest: exporting.Manifest, output: Path) -> None:
        self.stdout.write(
            _("%(rows)s entries in %(file)s") % {"rows": manifest.file.rows, "file": output}
        )
        if manifest.replaced:
            self.stderr.write(
                _("CP949 has no %(characters)s: “?” was written in %(count)s places.")
                % {"characters": _few(manifest.replaced), "count": manifest.replaced.total()}
            )

    def _check(self, output: Path, office: list[str], school: list[str]) -> FileFormat:
        try:
            arguments.check_codes(offices=office, schools=school)
        except arguments.UnknownCodes as error:
            self._refuse(str(error))
        if not output.parent.is_dir():
            self._refuse(_("There is no folder %(folder)s.") % {"folder": output.parent})
        found = [_ENDINGS[ending] for ending in _ENDINGS if output.name.endswith(ending)]
        if not found:
            self._refuse(
                _("%(file)s: the name must end in .csv, .csv.gz or .zip.") % {"file": output}
            )
        return found[0]

    def _refuse(self, message: str) -> NoReturn:
        self.stderr.write(message)
        sys.exit(2)


def _form(
    file_format: FileFormat, *, audience: Audience, encoding: str | None, header: str | None
) -> exporting.Form:
    make = exporting.Form.for_people if audience is Audience.PEOPLE else exporting.Form.for_machines
    form = make(file_format)
    return exporting.Form(
        audience,
        Encoding(encoding) if encoding else form.encoding,
        HeaderStyle(header) if header else form.header,
        file_format,
    )


def _few(characters: Iterable[str]) -> str:
    return " ".join(list(characters)[:10])
