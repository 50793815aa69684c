"""Turns the rows of a timetable answer into entries by week. Pure: no database, no clock.

Works column by column: a school's answer has few distinct values in each, so that every value
is read once and all loops over rows are C's.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain, compress
from typing import Any, Final

import orjson

from collection.neis.errors import Malformed
from collection.neis.rows import Column, Row, Rows

Entry = tuple[Any, ...]
"""The values of ENTRY_COLUMNS, in that order."""
Reader = Callable[[str | None], Any]

# Column to field, in the order in which a person reads a timetable: entries are sorted by it.
_FIELDS: Final = {
    "date": "ALL_TI_YMD",
    "academic_year": "AY",
    "semester": "SEM",
    "course": "SCHUL_CRSE_SC_NM",
    "day_night": "DGHT_CRSE_SC_NM",
    "track": "ORD_SC_NM",
    "department": "DDDEP_NM",
    "grade": "GRADE",
    "class_name": "CLASS_NM",
    "period": "PERIO",
    "classroom": "CLRM_NM",
    "subject": "ITRT_CNTNT",
}
ENTRY_COLUMNS: Final = tuple(_FIELDS)
_OFFICE, _SCHOOL, _LOADED = "ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE", "LOAD_DTM"
_USED: Final = (*_FIELDS.values(), _OFFICE, _SCHOOL, _LOADED)
GRADES: Final = range(1, 7)
PERIODS: Final = range(1, 21)
SEMESTERS: Final = range(1, 3)
YEARS: Final = range(2000, 2100)

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
    rows: Rows, *, office_code: str, school_code: str, mondays: Sequence[date]
) -> Normalised:
    """Raises Malformed when a row belongs to another school than the one that was asked for."""
    raw = _used_columns(rows)
    if set(raw[_OFFICE]) - {office_code} or set(raw[_SCHOOL]) - {school_code}:
        raise Malformed("The answer holds rows of another school.")
    columns, bad, nul_removed = _converted(raw, _readers(mondays))
    loaded = list(map(_each(raw[_LOADED], _loaded_on).__getitem__, raw[_LOADED]))
    if bad:
        kept = [index not in bad for index in range(len(rows))]
        columns = [list(compress(values, kept)) for values in columns]
        loaded = list(compress(loaded, kept))
    latest = _latest_of_equal(list(zip(*columns, strict=True)), loaded)
    return Normalised(
        weeks=_by_week(latest, mondays),
        received=len(rows),
        duplicate=len(loaded) - len(latest),
        rejected=[Rejected(reason, rows.row(index)) for index, reason in sorted(bad.items())],
        nul_removed=nul_removed,
    )


def _used_columns(rows: Rows) -> dict[str, Column]:
    """A service answers with a field in all of its rows or in none."""
    nowhere = (None,) * len(rows)
    return {name: rows.columns.get(name, nowhere) for name in _USED}


def _readers(mondays: Sequence[date]) -> dict[str, Reader]:
    window = {monday + timedelta(days=day) for monday in mondays for day in range(7)}
    return {
        "date": lambda raw: _date_in(window, raw),
        "academic_year": _number_in(YEARS),
        "semester": _number_in(SEMESTERS),
        "grade": _number_in(GRADES),
        "period": _number_in(PERIODS),
    }


def _converted(
    raw: Mapping[str, Column], readers: Mapping[str, Reader]
) -> tuple[list[Sequence[Any]], dict[int, str], int]:
    """The columns of entries, the first column that can't be read by row, and removed U+0000."""
    columns: list[Sequence[Any]] = []
    bad: dict[int, str] = {}
    nul_removed = 0
    for name, wire_name in _FIELDS.items():
        values = raw[wire_name]
        if name in readers:
            known = _each(values, readers[name])
            columns.append(list(map(known.__getitem__, values)))
            if _UNREADABLE in known.values():
                for index, value in enumerate(columns[-1]):
                    if value is _UNREADABLE:
                        bad.setdefault(index, name)
        elif any("\0" in value for value in set(values) if value):
            nul_removed += sum(value.count("\0") for value in values if value)
            columns.append([value and value.replace("\0", "") for value in values])
        else:
            columns.append(values)
    return columns, bad, nul_removed


def _each(values: Column, read: Reader) -> dict[str | None, Any]:
    """What each distinct value of a column is read as."""
    return {value: read(value) for value in set(values)}


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


def _number_in(allowed: range) -> Reader:
    def read(raw: str | None) -> int | _Unreadable:
        if raw is None or not (raw.isascii() and raw.isdigit()) or len(raw) > 4:
            return _UNREADABLE
        return int(raw) if int(raw) in allowed else _UNREADABLE

    return read


def _latest_of_equal(
    entries: Sequence[Entry], loaded: Sequence[date | None]
) -> dict[Entry, date | None]:
    latest = dict(zip(entries, loaded, strict=True))
    if len(latest) == len(entries):
        return latest
    for entry, loaded_on in zip(entries, loaded, strict=True):
        known = latest[entry]
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
    try:
        return sorted(entries)
    except TypeError:
        # A null was compared with a text. Where none is, the order is the same without keys.
        return sorted(entries, key=_nulls_first)


def _nulls_first(entry: Entry) -> Entry:
    return tuple(_NULL_SORTS_AS if value is None else value for value in entry)
