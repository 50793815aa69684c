"""The SQL of an export. Values are always literals that psycopg quotes."""

from collections.abc import Sequence
from datetime import date

from psycopg import sql

from collection.exporting.columns import Column, columns_of
from collection.exporting.form import FORMULA_SIGNS, Form
from collection.exporting.selection import Selection
from collection.models import Dataset

# ascii() is the number of the first character, and 0 for "": cheaper than a pattern.
_FORMULA_SIGNS = ", ".join(str(ord(sign)) for sign in FORMULA_SIGNS)

_TIMETABLE = """
  FROM collection_timetableentry AS entry
  JOIN collection_school AS school ON school.id = entry.school_id
  JOIN collection_office AS office ON office.code = school.office_id
 WHERE entry.date >= {monday} AND entry.date < {monday}::date + 7
   AND {matches}
 ORDER BY entry.school_id, entry.date, entry.position"""

_SCHOOL_LIST = """
  FROM collection_school AS school
  JOIN collection_office AS office ON office.code = school.office_id
 WHERE {matches}
 ORDER BY school.office_id, school.code"""

_MATCHES = """(({levels} = '{{}}' OR school.level = ANY({levels}))
   AND ({offices} = '{{}}' OR school.office_id = ANY({offices}))
   AND ({schools} = '{{}}' OR school.code = ANY({schools})))"""


def copy_statement(
    selection: Selection, form: Form, *, monday: date | None, office: str | None
) -> sql.Composed:
    """COPY of one week, or of the school list; of one office when `office` is given."""
    rows = sql.SQL(_SCHOOL_LIST if selection.dataset is Dataset.SCHOOL_LIST else _TIMETABLE)
    matches = matching(selection)
    if office is not None:
        one = sql.SQL("school.office_id = {}").format(sql.Literal(office))
        matches = sql.SQL(" AND ").join([matches, one])
    return sql.SQL("COPY (SELECT {columns} {rows}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')").format(
        columns=sql.SQL(", ").join(
            sql.SQL(_expression(column, safe=form.is_formula_safe))
            for column in columns_of(selection.dataset)
        ),
        rows=rows.format(monday=sql.Literal(monday), matches=matches),
    )


def matching(selection: Selection) -> sql.Composed:
    """The condition on `school`."""
    return sql.SQL(_MATCHES).format(
        levels=_texts(selection.levels),
        offices=_texts(selection.offices),
        schools=_texts(selection.schools),
    )


def _texts(values: Sequence[str]) -> sql.Composed:
    return sql.SQL("{}::text[]").format(sql.Literal(list(values)))


def _expression(column: Column, *, safe: bool) -> str:
    source = column.source
    if safe and column.kind == "text":
        source = f"CASE WHEN ascii({source}) IN ({_FORMULA_SIGNS}) THEN '''' || {source} ELSE {source} END"
    return f"{source} AS {column.name}"
