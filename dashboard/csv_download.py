"""CSV of what a page shows, streamed, for a spreadsheet: with a BOM, and with no formula in it."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

from collection.exporting.form import FORMULA_SIGNS

_BOM = "\ufeff"


class _Echo:
    """Gives back what csv would write."""

    def write(self, line: str) -> str:
        return line


def download(
    name: str, header: Sequence[object], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        _lines(header, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _lines(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield _BOM + writer.writerow(header)
    for row in rows:
        yield writer.writerow([_text(value) for value in row])


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(tuple(FORMULA_SIGNS)) else text
