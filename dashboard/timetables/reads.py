"""What is stored of one school's week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from collection.models import School, SchoolWeek, TimetableEntry
from dashboard.timetables.grid import ClassIdentity, Entry, Grid, classes_of, draw


@dataclass(frozen=True, slots=True)
class ClassGroup:
    """The classes of one grade of one course or department."""

    branch: str
    grade: int
    classes: Sequence[ClassIdentity]


@dataclass(frozen=True, slots=True)
class SchoolTimetable:
    """`stored` is None when NEIS has never answered for the week; `grid` when it has no entry."""

    stored: SchoolWeek | None
    groups: Sequence[ClassGroup]
    grid: Grid | None
    entries: Sequence[Entry]


def read_school(office: str, code: str) -> School | None:
    schools = School.objects.select_related("office", "freshness")
    return schools.filter(office=office, code=code).first()


def read_timetable(school: School, monday: date, class_key: str) -> SchoolTimetable:
    """The first class where `class_key` names none of the week."""
    stored = SchoolWeek.objects.select_related("changed_by").filter(school=school, monday=monday)
    entries = read_entries(school, monday)
    classes = classes_of(entries)
    chosen = next((each for each in classes if each.key == class_key), classes and classes[0])
    return SchoolTimetable(
        stored=stored.first(),
        groups=_groups(classes),
        grid=draw(entries, chosen, monday) if chosen else None,
        entries=entries,
    )


def read_entries(school: School, monday: date) -> list[Entry]:
    week = TimetableEntry.objects.filter(
        school=school, date__gte=monday, date__lt=monday + timedelta(days=7)
    )
    return list(map(Entry._make, week.order_by("date", "position").values_list(*Entry._fields)))


def _groups(classes: Sequence[ClassIdentity]) -> list[ClassGroup]:
    """What all classes of the school have in common is not repeated in each group."""
    common = set.intersection(*(set(each.branch) for each in classes)) if classes else set()

    def group_of(each: ClassIdentity) -> tuple[str, int]:
        return " · ".join(part for part in each.branch if part not in common), each.grade

    return [
        ClassGroup(branch, grade, list(members))
        for (branch, grade), members in groupby(classes, key=group_of)
    ]
