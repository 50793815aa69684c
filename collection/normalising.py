"""Turns the rows of a timetable answer into entries by week. Pure: no database, no clock.

Works column by column: a school's answer has few distinct values in each, so that every value
is read once and the rows themselves are touched only by C code.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson

from collection.neis.answers import Row
from collection.neis.errors import Malformed

Entry = tuple[Any, ...]
"""The values of ENTRY_COLUMNS, in that order."""

# In the order in which a person reads a timetable: entries are sorted by it.
ENTRY_COLUMNS: Final = (
    "date",
    "academic_year",
    "semester",
    "course",
    "day_night",
    "track",
    "department",
    "grade",
    "class_name",
    "period",
    "classroom",
    "subject",
)
GRADES: Final = range(1, 7)
PERIODS: Final = range(1, 21)
SEMESTERS: Final = range(1, 3)
YEARS: Final = range(2000, 2100)

_TEXT_FIELDS: Final = {
    "course": "SCHUL_CRSE_SC_NM",
    "day_night": "DGHT_CRSE_SC_NM",
    "track": "ORD_SC_NM",
    "department": "DDDEP_NM",
    "class_name": "CLASS_NM",
    "classroom": "CLRM_NM",
    "subject": "ITRT_CNTNT",
}
# No text of PostgreSQL holds U+0000, so it stands for null where texts are compared.
_NULL_SORTS_AS: Final = "\0"


class _Unreadable:
    """Stands in a column for a value that can't be read."""


_UNREADABLE: Final = _Unreadable()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that can't be read: `reason` is the column that is wrong."""

    reason: str
    row: Row


@dataclass(frozen=True, slots=True)
class Week:
    """One week of one school. `loaded_on` runs beside `entries`; the digest leaves it out,
    because NEIS reloads every night."""

    entries: Sequence[Entry] = ()
    loaded_on: Sequence[date | None] = ()

    @property
    def digest(self) -> bytes:
        return hashlib.blake2b(orjson.dumps(self.entries), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Normalised:
    """received = entries of all weeks + duplicate + rejected. Every week of the window is there."""

    weeks: dict[date, Week]
    received: int
    duplicate: int
    rejected: list[Rejected] = field(default_factory=list)
    nul_removed: int = 0


def normalise(
    rows: Sequence[Row], *, office_code: str, school_code: str, mondays: Sequence[date]
) -> Normalised:
    """Raises Malformed when a row belongs to another school than the one that was asked for, or
    has other fields than the rest."""
    _check_rows(rows, office_code, school_code)
    columns, nul_removed = _columns(rows, mondays)
    loaded = _convert(_values(rows, "LOAD_DTM"), _loaded_on)
    bad = _unreadable_rows(columns)
    kept = [index for index in range(len(rows)) if index not in bad] if bad else None
    if kept is not None:
        columns = {name: [values[i] for i in kept] for name, values in columns.items()}
        loaded = [loaded[i] for i in kept]
    latest = _latest_of_equal(zip(*columns.values(), strict=True), loaded)
    return Normalised(
        weeks=_by_week(latest, mondays),
        received=len(rows),
        duplicate=len(loaded) - len(latest),
        rejected=[Rejected(reason, rows[index]) for index, reason in sorted(bad.items())],
        nul_removed=nul_removed,
    )


def _check_rows(rows: Sequence[Row], office_code: str, school_code: str) -> None:
    if len(set(map(len, rows))) > 1:
        raise Malformed("The rows of the answer differ in their fields.")
    codes = set(map(itemgetter("ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE"), rows))
    if codes - {(office_code, school_code)}:
        raise Malformed("The answer holds rows of another school.")


def _columns(rows: Sequence[Row], mondays: Sequence[date]) -> tuple[dict[str, list[Any]], int]:
    window = {monday + timedelta(days=day) for monday in mondays for day in range(7)}
    columns: dict[str, list[Any]] = {
        "date": _convert(_values(rows, "ALL_TI_YMD"), lambda raw: _date_in(window, raw)),
        "academic_year": _convert(_values(rows, "AY"), _number_in(YEARS)),
        "semester": _convert(_values(rows, "SEM"), _number_in(SEMESTERS)),
        "grade": _convert(_values(rows, "GRADE"), _number_in(GRADES)),
        "period": _convert(_values(rows, "PERIO"), _number_in(PERIODS)),
    }
    nul_removed = 0
    for name, wire_name in _TEXT_FIELDS.items():
        values = _values(rows, wire_name)
        if any("\0" in value for value in set(values) if value):
            nul_removed += sum(value.count("\0") for value in values if value)
            values = [value.replace("\0", "") if value else value for value in values]
        columns[name] = values
    return {name: columns[name] for name in ENTRY_COLUMNS}, nul_removed


def _values(rows: Sequence[Row], wire_name: str) -> list[Any]:
    """A service answers with a field in all of its rows or in none, so the first row tells."""
    if rows and wire_name in rows[0]:
        try:
            return list(map(itemgetter(wire_name), rows))
        except KeyError:
            raise Malformed(f"{wire_name} stands in some rows only.") from None
    return [None] * len(rows)


def _convert(values: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
    converted = {value: convert(value) for value in set(values)}
    return list(map(converted.__getitem__, values))


def _date_in(window: set[date], raw: str | None) -> date | _Unreadable:
    day = _day(raw)
    return day if day in window else _UNREADABLE


def _loaded_on(raw: str | None) -> date | None:
    """8 digits, in old rows 14; nothing depends on it, so that a wrong one is none."""
    return _day(raw[:8]) if raw else None


def _day(raw: str | None) -> date | None:
    if raw is None or len(raw) != 8 or not (raw.isascii() and raw.isdigit()):
        return None
    try:
        return date(int(raw[:4]), int(raw[4:6]), int(raw[6:]))
    except ValueError:
        return None


def _number_in(allowed: range) -> Callable[[str | None], int | _Unreadable]:
    def convert(raw: str | None) -> int | _Unreadable:
        if raw is None or not (raw.isascii() and raw.isdigit()) or len(raw) > 4:
            return _UNREADABLE
        return int(raw) if int(raw) in allowed else _UNREADABLE

    return convert


def _unreadable_rows(columns: dict[str, list[Any]]) -> dict[int, str]:
    """Row number to the first column of it that can't be read."""
    bad: dict[int, str] = {}
    for name, values in columns.items():
        if _UNREADABLE in values:
            for index, value in enumerate(values):
                if value is _UNREADABLE:
                    bad.setdefault(index, name)
    return bad


def _latest_of_equal(
    entries: Iterable[Entry], loaded: Sequence[date | None]
) -> dict[Entry, date | None]:
    latest: dict[Entry, date | None] = {}
    for entry, loaded_on in zip(entries, loaded, strict=True):
        known = latest.setdefault(entry, loaded_on)
        if known is not loaded_on and loaded_on and (known is None or loaded_on > known):
            latest[entry] = loaded_on
    return latest


def _by_week(latest: dict[Entry, date | None], mondays: Sequence[date]) -> dict[date, Week]:
    by_day: dict[date, list[Entry]] = {
        monday + timedelta(days=day): [] for monday in mondays for day in range(7)
    }
    for entry in latest:
        by_day[entry[0]].append(entry)
    weeks = {}
    for monday in mondays:
        days = (by_day[monday + timedelta(days=day)] for day in range(7))
        entries = list(chain.from_iterable(map(_sorted, days)))
        weeks[monday] = Week(entries, list(map(latest.__getitem__, entries)))
    return weeks


def _sorted(entries: list[Entry]) -> list[Entry]:
    """One order for one set of entries, nulls first."""
    columns = list(zip(*entries, strict=True))
    if not any(map(_is_mixed, columns)):
        return sorted(entries)
    keys = zip(*map(_sortable, columns), strict=True)
    return [entry for _, entry in sorted(zip(keys, entries, strict=True), key=itemgetter(0))]


def _is_mixed(values: Sequence[Any]) -> bool:
    """A column of nulls alone sorts as it is: null is compared with null by identity."""
    return None in values and any(value is not None for value in values)


def _sortable(values: Sequence[Any]) -> Sequence[Any]:
    if _is_mixed(values):
        return [_NULL_SORTS_AS if value is None else value for value in values]
    return values
