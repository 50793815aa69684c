"""What the page of held weeks shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import QueryDict

from collection import held
from collection.models import HeldWeek
from dashboard.paging import Page, read_page

MOST_LESSONS = 200


def read_held(rows: QuerySet[HeldWeek], query: QueryDict) -> Page[HeldWeek]:
    related = rows.select_related("school__office", "fetch", "decided_by").defer("payload")
    return read_page(related, query)


@dataclass(frozen=True, slots=True)
class ChangedLesson:
    """`before` is None where a lesson is new, `after` where it goes."""

    before: held.Lesson | None
    after: held.Lesson | None

    @property
    def place(self) -> held.Lesson:
        lesson = self.before or self.after
        assert lesson is not None
        return lesson


@dataclass(frozen=True, slots=True)
class Difference:
    """Counts of everything, and the first MOST_LESSONS of it in the order of the timetable."""

    added: int
    removed: int
    changed: int
    lessons: Sequence[ChangedLesson]

    @property
    def not_shown(self) -> int:
        return self.added + self.removed + self.changed - len(self.lessons)


def read_difference(week: HeldWeek) -> Difference:
    found = held.difference(week)
    lessons = sorted(_lessons(found), key=_in_order)
    return Difference(
        added=len(found.added),
        removed=len(found.removed),
        changed=len(found.changed),
        lessons=lessons[:MOST_LESSONS],
    )


def _lessons(found: held.Difference) -> Iterator[ChangedLesson]:
    yield from (ChangedLesson(lesson, None) for lesson in found.removed)
    yield from (ChangedLesson(None, lesson) for lesson in found.added)
    yield from (ChangedLesson(before, after) for before, after in found.changed)


def _in_order(lesson: ChangedLesson) -> tuple[object, ...]:
    place = lesson.place
    return (place.date, place.grade, place.class_name or "", place.period)
