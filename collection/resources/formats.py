"""CSV for people and for machines, written row by row and read back alike."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import tablib
from django.utils.translation import gettext_lazy as _
from import_export.formats.base_formats import CSV

from collection.exporting.form import FORMULA_SIGNS

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_PREFIXED = re.compile(f"'[{re.escape(FORMULA_SIGNS)}]")
_BYTE_ORDER_MARK = "\ufeff"


class MachineCSV(CSV):
    """Every cell as it is stored."""

    line_end = "\n"
    begin = ""

    def get_title(self) -> Any:
        return _("CSV for machines and for importing again")

    def get_extension(self) -> str:
        return "csv"

    def can_export(self) -> bool:
        return True

    def can_import(self) -> bool:
        return True

    def stream(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
        """Encoded lines."""
        line = io.StringIO(newline="")
        writer = csv.writer(line, lineterminator=self.line_end)
        line.write(self.begin)
        for cells in chain([header], rows):
            writer.writerow([self.cell(cell) for cell in cells])
            yield line.getvalue().encode()
            line.seek(0)
            line.truncate()

    def cell(self, value: str) -> str:
        return value

    def create_dataset(self, in_stream: Any, **kwargs: Any) -> Any:
        """Reads both forms. Raises ValueError for a line with too many or too few cells."""
        text = in_stream.decode("utf-8-sig") if isinstance(in_stream, bytes) else in_stream
        lines = csv.reader(io.StringIO(text.removeprefix(_BYTE_ORDER_MARK), newline=""))
        dataset = tablib.Dataset(headers=next(lines, []))
        for number, cells in enumerate(lines, start=2):
            if not cells:
                continue
            if len(cells) != len(dataset.headers):
                raise ValueError(
                    _("Line %(line)s has %(found)s cells in place of %(expected)s.")
                    % {"line": number, "found": len(cells), "expected": len(dataset.headers)}
                )
            dataset.append([_unprefixed(cell) for cell in cells])
        return dataset


class PeopleCSV(MachineCSV):
    """As a spreadsheet wants it: no cell of it runs as a formula."""

    line_end = "\r\n"
    begin = _BYTE_ORDER_MARK

    def get_title(self) -> Any:
        return _("CSV for people (Excel)")

    def can_import(self) -> bool:
        """It is read by the other format."""
        return False

    def cell(self, value: str) -> str:
        runs = value[:1] and value[0] in FORMULA_SIGNS and not _NUMBER.fullmatch(value)
        return f"'{value}" if runs else value


def _unprefixed(cell: str) -> str:
    return cell[1:] if _PREFIXED.match(cell) else cell
