"""One class's week as a grid of days and periods. Pure: entries in, a grid out."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import NamedTuple

from django.utils.translation import gettext as _

from dashboard.timetables.marks import Subject, read_subject

SATURDAY = 5
# A subject that fills a day of fewer periods than this may well be a lesson.
_EVENT_FROM_PERIODS = 3


class Entry(NamedTuple):
    """The columns of a timetable entry that a grid is made of."""

    date: date
    period: int
    grade: int
    class_name: str | None
    course: str | None
    day_night: str | None
    track: str | None
    department: str | None
    classroom: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class ClassIdentity:
    """Which class: grade and name alone are not enough in vocational and special schools.

    Without a `name` it is the electives of the grade, which belong to no class.
    """

    course: str | None
    day_night: str | None
    track: str | None
    department: str | None
    grade: int
    name: str | None

    @property
    def key(self) -> str:
        """Its name in an address, the same in every week."""
        return hashlib.blake2b(repr(astuple(self)).encode(), digest_size=6).hexdigest()

    @property
    def label(self) -> str:
        if self.name is None:
            return _("Grade %(grade)s, electives") % {"grade": self.grade}
        return _("Grade %(grade)s, class %(name)s") % {"grade": self.grade, "name": self.name}

    @property
    def short(self) -> str:
        """Where the grade is told already."""
        return _("electives") if self.name is None else self.name

    @property
    def branch(self) -> tuple[str, ...]:
        """What stands above the grade."""
        parts = (self.course, self.track, self.department, self.day_night)
        return tuple(part for part in parts if part)

    @property
    def electives(self) -> "ClassIdentity":
        return ClassIdentity(
            self.course, self.day_night, self.track, self.department, self.grade, None
        )


@dataclass(frozen=True, slots=True)
class Lesson:
    subject: Subject
    classroom: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Several lessons are taught side by side. `electives`: those of the grade in an empty cell."""

    lessons: Sequence[Lesson] = ()
    electives: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """`event` fills all of its periods, such as 재량휴업일."""

    date: date
    event: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    identity: ClassIdentity
    days: Sequence[Day]
    rows: Sequence[tuple[int, Sequence[Cell]]]

    @property
    def marks(self) -> list[str]:
        """Every mark of the week, once."""
        cells = (cell for _, row in self.rows for cell in row)
        lessons = (lesson for cell in cells for lesson in cell.lessons)
        return list(dict.fromkeys(mark for lesson in lessons for mark in lesson.subject.marks))


def identity_of(entry: Entry) -> ClassIdentity:
    return ClassIdentity(
        entry.course,
        entry.day_night,
        entry.track,
        entry.department,
        entry.grade,
        entry.class_name,
    )


def classes_of(entries: Iterable[Entry]) -> list[ClassIdentity]:
    """In the order of a person: by course, department and grade, 2 before 10, electives last."""
    return sorted(set(map(identity_of, entries)), key=_order)


def _order(identity: ClassIdentity) -> tuple[object, ...]:
    name = identity.name or ""
    return (
        identity.branch,
        identity.grade,
        identity.name is None,
        int(name) if name.isdigit() else 99,
        name,
    )


def draw(entries: Iterable[Entry], identity: ClassIdentity, monday: date) -> Grid:
    lessons: dict[tuple[date, int], list[Entry]] = defaultdict(list)
    electives: dict[tuple[date, int], int] = defaultdict(int)
    for entry in entries:
        slot = entry.date, entry.period
        if (found := identity_of(entry)) == identity:
            lessons[slot].append(entry)
        elif found == identity.electives:
            electives[slot] += 1
    dates = _dates(monday, {day for day, _ in lessons})
    last = max((period for _, period in (*lessons, *electives)), default=0)
    return Grid(
        identity,
        [Day(day, _event(day, lessons)) for day in dates],
        [
            (period, [_cell(lessons[day, period], electives[day, period]) for day in dates])
            for period in range(1, last + 1)
        ],
    )


def _dates(monday: date, taught: set[date]) -> list[date]:
    """Monday to Friday, and the days of a weekend that have lessons."""
    week = [monday + timedelta(days=number) for number in range(7)]
    return [day for day in week if day.weekday() < SATURDAY or day in taught]


def _cell(entries: Sequence[Entry], electives: int) -> Cell:
    lessons = [Lesson(read_subject(entry.subject), entry.classroom or "") for entry in entries]
    ordered = sorted(lessons, key=lambda lesson: (lesson.subject.name, lesson.classroom))
    return Cell(ordered, 0 if entries else electives)


def _event(day: date, lessons: dict[tuple[date, int], list[Entry]]) -> str:
    of_day = [entries for (date_, _), entries in lessons.items() if date_ == day and entries]
    subjects = {entry.subject or "" for entries in of_day for entry in entries}
    fills_the_day = len(of_day) >= _EVENT_FROM_PERIODS and len(subjects) == 1
    return subjects.pop() if fills_the_day else ""
