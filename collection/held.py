"""What becomes of held weeks by an operator's word, and what would change by it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from collection import storage
from collection.models import HeldState, HeldWeek, TimetableEntry
from collection.normalising import ENTRY_COLUMNS, Entry


def waiting() -> QuerySet[HeldWeek]:
    """Those that somebody has to decide: filter them by school, dates or `fetch__run`."""
    return HeldWeek.objects.filter(state=HeldState.WAITING)


def accept(held: QuerySet[HeldWeek], *, by: AbstractBaseUser | None) -> int:
    """Stores the kept answers in place of the stored weeks, school by school.

    Each school is one transaction. What a newer answer took the place of in the meantime is left
    alone. Returns how many weeks were accepted.
    """
    chosen = held.filter(state=HeldState.WAITING).order_by("school_id")
    by_school: dict[int, list[int]] = {}
    for school_id, pk in chosen.values_list("school_id", "pk"):
        by_school.setdefault(school_id, []).append(pk)
    return sum(_accept(school_id, pks, by) for school_id, pks in by_school.items())


def reject(held: QuerySet[HeldWeek], *, by: AbstractBaseUser | None) -> int:
    """Throws the kept answers away; the stored weeks stay. Returns how many were rejected."""
    with transaction.atomic():
        chosen = held.filter(state=HeldState.WAITING).select_for_update(of=["self"])
        pks = list(chosen.order_by("pk").values_list("pk", flat=True))
        return HeldWeek.objects.filter(pk__in=pks).update(
            state=HeldState.REJECTED, decided_at=Now(), decided_by=by
        )


def _accept(school_id: int, pks: Sequence[int], by: AbstractBaseUser | None) -> int:
    with transaction.atomic():
        # The school first, as whoever stores an answer does; what it waited for has been decided.
        storage.lock_school(school_id)
        weeks = list(
            HeldWeek.objects.select_for_update(of=["self"])
            .filter(pk__in=pks, state=HeldState.WAITING)
            .select_related("fetch")
            .order_by("pk")
        )
        for week in weeks:
            storage.replace_week(
                school_id,
                week.monday,
                storage.unpack(bytes(week.payload)),
                run_id=week.fetch.run_id,
            )
        return HeldWeek.objects.filter(pk__in=[week.pk for week in weeks]).update(
            state=HeldState.ACCEPTED, decided_at=Now(), decided_by=by
        )


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a person sees of an entry: where it stands, and what is taught."""

    date: date
    grade: int
    class_name: str | None
    period: int
    subject: str | None
    classroom: str | None

    @property
    def place(self) -> tuple[Any, ...]:
        return (self.date, self.grade, self.class_name, self.period)


@dataclass(frozen=True, slots=True)
class Difference:
    """`changed` are pairs of before and after in the same place."""

    added: Sequence[Lesson]
    removed: Sequence[Lesson]
    changed: Sequence[tuple[Lesson, Lesson]]


def difference(held: HeldWeek) -> Difference:
    """What accepting would change."""
    stored = TimetableEntry.objects.filter(
        school=held.school_id,
        date__gte=held.monday,
        date__lt=held.monday + storage.ONE_WEEK,
    ).order_by("position")
    kept = storage.unpack(bytes(held.payload)).entries
    return compare(
        before=[_lesson(entry) for entry in stored.values_list(*ENTRY_COLUMNS)],
        after=[_lesson(entry) for entry in kept],
    )


def compare(*, before: Sequence[Lesson], after: Sequence[Lesson]) -> Difference:
    """Lessons that are on one side only, and stand in the same place, are one that changed."""
    gone, new = Counter(before), Counter(after)
    added: dict[tuple[Any, ...], list[Lesson]] = {}
    for lesson in (new - gone).elements():
        added.setdefault(lesson.place, []).append(lesson)
    removed, changed = [], []
    for lesson in (gone - new).elements():
        if others := added.get(lesson.place):
            changed.append((lesson, others.pop(0)))
        else:
            removed.append(lesson)
    left = [lesson for lessons in added.values() for lesson in lessons]
    return Difference(added=left, removed=removed, changed=changed)


def _lesson(entry: Entry) -> Lesson:
    columns = dict(zip(ENTRY_COLUMNS, entry, strict=True))
    return Lesson(**{name: columns[name] for name in Lesson.__slots__})
