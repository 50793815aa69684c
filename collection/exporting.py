"""Timetables as CSV, streamed out of PostgreSQL: memory stays flat whatever the number of rows."""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, cast

from django.db import connection, transaction
from django.db.models import Sum
from psycopg import sql

from collection.models import SchoolWeek

# The columns other programs rely on, in their order, and where each comes from.
COLUMNS = {
    "office_code": "school.office_id",
    "office": "office.name",
    "school_code": "school.code",
    "school": "school.name",
    "level": "school.level",
    "academic_year": "entry.academic_year",
    "semester": "entry.semester",
    "date": "entry.date",
    "grade": "entry.grade",
    "class_name": "entry.class_name",
    "course": "entry.course",
    "day_night": "entry.day_night",
    "track": "entry.track",
    "department": "entry.department",
    "classroom": "entry.classroom",
    "period": "entry.period",
    "subject": "entry.subject",
    "loaded_on": "entry.loaded_on",
}

_SELECT = (
    "SELECT "
    + ", ".join(f"{source} AS {name}" for name, source in COLUMNS.items())
    + """
  FROM collection_timetableentry AS entry
  JOIN collection_school AS school ON school.id = entry.school_id
  JOIN collection_office AS office ON office.code = school.office_id
 WHERE entry.date >= {first} AND entry.date < {first}::date + 7
   AND ({levels} = '{{}}' OR school.level = ANY({levels}))
   AND ({offices} = '{{}}' OR school.office_id = ANY({offices}))
   AND ({schools} = '{{}}' OR school.code = ANY({schools}))
 ORDER BY entry.school_id, entry.date, entry.position"""
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty `levels`, `offices` or `schools`: all of them."""

    mondays: Sequence[date]
    levels: Sequence[str] = ()
    offices: Sequence[str] = ()
    schools: Sequence[str] = ()


def expected_rows(selection: Selection) -> int:
    """Exact unless something is stored meanwhile; read from the weeks, not from the entries."""
    weeks = SchoolWeek.objects.filter(monday__in=selection.mondays)
    if selection.levels:
        weeks = weeks.filter(school__level__in=selection.levels)
    if selection.offices:
        weeks = weeks.filter(school__office__in=selection.offices)
    if selection.schools:
        weeks = weeks.filter(school__code__in=selection.schools)
    return int(weeks.aggregate(rows=Sum("entries", default=0))["rows"])


def write_file(
    selection: Selection, path: Path, *, on_rows: Callable[[int], object] = lambda rows: None
) -> int:
    """Writes `.csv` or `.csv.gz`; the file appears when it is whole. Returns the rows.

    `on_rows` is told the number of rows so far, now and then. Raises OSError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _opened(partial, compressed=path.suffix == ".gz") as file:
            rows = 0
            for rows, block in _blocks(selection):
                file.write(block)
                if rows % 10_000 == 0:
                    on_rows(rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    on_rows(rows)
    return rows


def _blocks(selection: Selection) -> Iterator[tuple[int, bytes]]:
    """Pairs of rows so far and bytes. All weeks are of one snapshot of the database."""
    yield 0, (",".join(COLUMNS) + "\n").encode()
    rows = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")
        for monday in selection.mondays:
            with connection.wrap_database_errors, cursor.copy(_copy(selection, monday)) as copy:
                # PostgreSQL sends one message for each row.
                for block in copy:
                    rows += 1
                    yield rows, bytes(block)


def _copy(selection: Selection, monday: date) -> sql.Composed:
    query = sql.SQL(f"COPY ({_SELECT}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')")
    return query.format(
        first=sql.Literal(monday),
        levels=sql.Literal(list(selection.levels)),
        offices=sql.Literal(list(selection.offices)),
        schools=sql.Literal(list(selection.schools)),
    )


@contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    if compressed:
        with gzip.open(path, "wb", compresslevel=6) as file:
            yield cast("IO[bytes]", file)
    else:
        with path.open("wb", buffering=1024 * 1024) as plain:
            yield plain
