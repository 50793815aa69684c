"""CSV of what a page shows, streamed in the form for people."""

from collections.abc import Iterable, Sequence

from django.http import StreamingHttpResponse

from collection.resources.formats import PeopleCSV


def download(
    name: str, header: Sequence[object], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        PeopleCSV().stream(_texts(header), map(_texts, rows)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _texts(values: Iterable[object]) -> list[str]:
    return ["" if value is None else str(value) for value in values]
