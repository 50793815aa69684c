"""Pages by key: as fast at the end of a long history as at its beginning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, the latest first. `newer` and `older` are query strings, "" where there is no page."""

    rows: Sequence[Row]
    newer: str
    older: str


def read_page(rows: QuerySet[Row], query: QueryDict, *, size: int = 50) -> Page[Row]:
    """`query` holds the filters, and `before` or `after`: the id that the page stands next to."""
    after, before = _id(query, "after"), _id(query, "before")
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        has_newer, has_older = len(found) > size, True
        found = found[:size][::-1]
    else:
        rows = rows.filter(pk__lt=before) if before is not None else rows
        found = list(rows.order_by("-pk")[: size + 1])
        has_newer, has_older = before is not None, len(found) > size
        found = found[:size]
    return Page(
        rows=found,
        newer=_link(query, after=found[0].pk) if has_newer and found else "",
        older=_link(query, before=found[-1].pk) if has_older and found else "",
    )


def without_position(query: QueryDict) -> str:
    """The filters alone, as a query string."""
    return _link(query)


def _link(query: QueryDict, **position: Any) -> str:
    kept = query.copy()
    for name in ("after", "before", *(key for key, value in query.items() if not value)):
        kept.pop(name, None)
    for name, value in position.items():
        kept[name] = value
    return kept.urlencode()


def _id(query: QueryDict, name: str) -> int | None:
    """An id that is no bigint is no id."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
