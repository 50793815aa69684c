"""Reads the body of one page. What NEIS says in a body is mapped to errors here alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson

from collection.neis.errors import Malformed, error_for
from collection.neis.rows import Column, Row, Rows
from collection.neis.services import Service

_SUCCESS = frozenset({"INFO-000", "INFO-100"})
_NO_DATA = "INFO-200"
_TEXT_OR_NULL = frozenset({str, type(None)})


@dataclass(frozen=True, slots=True)
class Page:
    """`total` is list_total_count: the rows of the whole answer, not of the page."""

    total: int
    rows: Rows


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: every page. `complete` is False for the five rows given without a key."""

    rows: Rows
    total: int
    requests: int

    @property
    def complete(self) -> bool:
        return len(self.rows) == self.total


def read_page(body: bytes, service: Service) -> Page:
    """Raises Malformed for anything that is no answer of NEIS, and the error of its code."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed(_what_it_is_instead(body), sample=_sample(body)) from None
    if not isinstance(document, dict):
        raise Malformed("The answer is JSON, but no object.", sample=_sample(body))
    if "RESULT" in document:
        return _bare_result(document["RESULT"], body)
    return _listing(document.get(service.name), service, body)


def _bare_result(result: Any, body: bytes) -> Page:
    code = _code(result, body)
    if code == _NO_DATA:
        return Page(total=0, rows=Rows())
    if code in _SUCCESS:
        raise Malformed("The answer says success and has no rows.", code=code, sample=_sample(body))
    raise error_for(code, str(result.get("MESSAGE", "")))


def _listing(parts: Any, service: Service, body: bytes) -> Page:
    try:
        head, content = parts[0]["head"], parts[1:]
        total = next(item["list_total_count"] for item in head if "list_total_count" in item)
        result = next(item["RESULT"] for item in head if "RESULT" in item)
    except (TypeError, KeyError, IndexError, StopIteration):
        return _listing_of_another_shape(parts, service, body)
    code = _code(result, body)
    if code == _NO_DATA:
        return Page(total=0, rows=Rows())
    if code not in _SUCCESS:
        raise error_for(code, str(result.get("MESSAGE", "")))
    rows = content[0].get("row") if content and isinstance(content[0], dict) else None
    if type(total) is not int or total < 0 or not isinstance(rows, list):
        raise Malformed(f"{service.name} has no count or no rows.", sample=_sample(body))
    return Page(total=total, rows=Rows(_columns(rows, service, body)))


def _listing_of_another_shape(parts: Any, service: Service, body: bytes) -> Page:
    """An error inside `head` comes without a count; everything else is no answer at all."""
    try:
        result = next(item["RESULT"] for item in parts[0]["head"] if "RESULT" in item)
    except (TypeError, KeyError, IndexError, StopIteration):
        message = f"The answer is not one of {service.name}."
        raise Malformed(message, sample=_sample(body)) from None
    return _bare_result(result, body)


def _columns(rows: list[Any], service: Service, body: bytes) -> dict[str, Column]:
    """All loops over rows are C's, and go over what lies scattered in memory once."""
    if not rows:
        return {}
    names = set(rows[0]) if isinstance(rows[0], dict) else set()
    if missing := service.fields - names:
        message = f"A row of {service.name} lacks {', '.join(sorted(missing))}."
        raise Malformed(message, sample=_sample(body))
    values = _values(rows, tuple(rows[0]), service, body)
    return {
        name: _column(name, values[index :: len(names)], service, body)
        for index, name in enumerate(rows[0])
    }


def _values(rows: list[Row], names: Sequence[str], service: Service, body: bytes) -> list[Any]:
    """Row after row."""
    try:
        if set(map(type, rows)) == {dict} and set(map(len, rows)) == {len(names)}:
            return list(chain.from_iterable(map(itemgetter(*names), rows)))
    except KeyError:
        pass
    raise Malformed(f"Rows of {service.name} differ in their fields.", sample=_sample(body))


def _column(name: str, values: list[Any], service: Service, body: bytes) -> Column:
    """Of equal texts, which are most, one is kept."""
    known: dict[str | None, str | None] = {}
    try:
        column = list(map(known.setdefault, values, values))
    except TypeError:
        known = {}  # A list or an object: nothing that could stand in a set.
    if not known or not set(map(type, known)) <= _TEXT_OR_NULL:
        message = f"{name} of {service.name} is neither text nor null in some row."
        raise Malformed(message, sample=_sample(body))
    return column


def _code(result: Any, body: bytes) -> str:
    code = result.get("CODE") if isinstance(result, dict) else None
    if not isinstance(code, str):
        raise Malformed("The answer has a RESULT without a CODE.", sample=_sample(body))
    return code


def _what_it_is_instead(body: bytes) -> str:
    start = body[:200].lstrip().lower()
    if not start:
        return "The answer is empty."
    if start.startswith((b"<!doctype", b"<html")):
        return "The answer is an HTML page."
    if start.startswith(b"<"):
        return "The answer is XML."
    return "The answer is not JSON, or was cut short."


def _sample(body: bytes) -> str:
    """More than is kept: a key is hidden first, and the cut must not fall inside one."""
    return body[:3000].decode("utf-8", "replace")
