"""Entries that are hard on a CSV file, and what an export of them has to hold."""

from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from collection import partitions
from collection.exporting.columns import TIMETABLE
from collection.models import School, SchoolWeek, TimetableEntry
from tests.collection.ledger import make_school
from tests.collection.rows import MONDAY

HARD_SUBJECTS = (
    "국어", "=1+1", "+82", "-", "- 자율활동", "@SUM(A1)", "\t=1+1", "\r=1", "\n=1+1", "＝1+1", "－",
    "* 체육", "[보강]수학", '음악, "미술"', "두\n줄", "두\r\n줄", "'따옴표", " 앞 빈칸", "", None,
    "똠방각하", "NULL", "\\N", "\\.", "0012", "1-2",
)  # fmt: skip


def store(
    school: School, subjects: tuple[str | None, ...] = HARD_SUBJECTS, *, monday: date = MONDAY
) -> None:
    """One entry for each subject, and the week they belong to."""
    partitions.ensure([monday])
    TimetableEntry.objects.bulk_create(
        TimetableEntry(
            school=school, date=monday + timedelta(days=number % 5), position=number,
            academic_year=2026, semester=1, grade=1, period=1 + number % 7, class_name="3",
            course=None, day_night="주간", track="", department="일반학과", classroom="-1",
            subject=subject, loaded_on=date(2026, 6, 11),
        )
        for number, subject in enumerate(subjects)
    )  # fmt: skip
    note_week(school, entries=len(subjects), monday=monday)


def note_week(school: School, *, entries: int, monday: date = MONDAY) -> None:
    SchoolWeek.objects.create(
        school=school, monday=monday, digest=b"d", entries=entries,
        changed_at=timezone.now(), checked_at=timezone.now(),
    )  # fmt: skip


def some_schools() -> list[School]:
    schools = [make_school("7010118", office="B10"), make_school("7530001", office="J10")]
    for school in schools:
        store(school)
    return schools


def rows_in_database() -> list[tuple[Any, ...]]:
    """As PostgreSQL has them, asked for without a word of the exporting code's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT school.office_id, office.name, school.code, school.name, school.level,"
            " entry.academic_year, entry.semester, entry.date, entry.grade, entry.class_name,"
            " entry.course, entry.day_night, entry.track, entry.department, entry.classroom,"
            " entry.period, entry.subject, entry.loaded_on"
            " FROM collection_timetableentry AS entry, collection_school AS school,"
            " collection_office AS office"
            " WHERE school.id = entry.school_id AND office.code = school.office_id"
            " ORDER BY school.id, entry.date, entry.position"
        )
        return list(cursor.fetchall())


def as_text(rows: list[tuple[Any, ...]]) -> list[list[str]]:
    """As a reader has them that knows neither types nor NULL."""
    return [["" if value is None else str(value) for value in row] for row in rows]


NAMES = [column.name for column in TIMETABLE]
