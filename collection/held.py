"""What becomes of held weeks by an operator's word, and what would change by it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from collection import audit, storage
from collection.models import HeldState, HeldWeek, TimetableEntry
from collection.normalising import ENTRY_COLUMNS, Entry


def undecided(held: QuerySet[HeldWeek]) -> QuerySet[HeldWeek]:
    """Those of `held` that somebody has to decide."""
    return held.filter(state=HeldState.WAITING, decided_at__isnull=True)


def waiting() -> QuerySet[HeldWeek]:
    """All that somebody has to decide: filter them by school, dates or `fetch__run`."""
    return undecided(HeldWeek.objects.all())


def accept(held: QuerySet[HeldWeek], *, by: AbstractBaseUser | None) -> int:
    """Stores the kept answers in place of the stored weeks, school by school.

    Each school is one transaction. What a newer answer took the place of in the meantime is left
    alone. Returns how many weeks were accepted.
    """
    by_school: dict[int, list[int]] = {}
    for school_id, pk in undecided(held).order_by("school_id").values_list("school_id", "pk"):
        by_school.setdefault(school_id, []).append(pk)
    return sum(_accept(school_id, pks, by) for school_id, pks in by_school.items())


def accept_later(held: QuerySet[HeldWeek], *, by: AbstractBaseUser | None) -> int:
    """Notes the decision, and leaves the work to `store_accepted`. Returns how many it is for."""
    with transaction.atomic():
        return _locked(undecided(held)).update(decided_at=Now(), decided_by=by)


def any_accepted() -> bool:
    """Whether there is something for `store_accepted` to do."""
    return _being_accepted().exists()


def store_accepted(*, most_schools: int) -> int:
    """Stores what was accepted for later; returns how many weeks.

    Any number of callers share the work: a school that somebody is at is left to him. The weeks
    of one that can't be stored wait for a decision again, and its error is raised at the end.
    """
    schools = _being_accepted().order_by("school_id").values_list("school_id", flat=True)
    stored, errors = 0, []
    for school_id in list(schools.distinct()[:most_schools]):
        accepted = _being_accepted().filter(school=school_id)
        try:
            with transaction.atomic():
                if storage.try_lock_school(school_id):
                    stored += _store(accepted)
        except (OperationalError, InterfaceError):
            # The database's trouble, not the school's: the next caller finds all that is left.
            raise
        except Exception as error:
            _give_back(accepted)
            error.add_note(f"The accepted weeks of school {school_id} are not stored.")
            errors.append(error)
    if errors:
        raise errors[0]
    return stored


def reject(held: QuerySet[HeldWeek], *, by: AbstractBaseUser | None) -> int:
    """Throws the kept answers away; the stored weeks stay. Returns how many were rejected."""
    with transaction.atomic():
        rejected = _locked(undecided(held))
        rejected.update(decided_by=by)
        return _end(list(rejected.defer("payload")), HeldState.REJECTED)


def _being_accepted() -> QuerySet[HeldWeek]:
    return HeldWeek.objects.filter(state=HeldState.WAITING, decided_at__isnull=False)


def _locked(held: QuerySet[HeldWeek]) -> QuerySet[HeldWeek]:
    """In the order in which whoever stores locks them: none waits for one who waits for him."""
    rows = held.select_for_update(of=["self"]).order_by("school_id", "monday")
    return HeldWeek.objects.filter(pk__in=list(rows.values_list("pk", flat=True)))


def _accept(school_id: int, pks: Sequence[int], by: AbstractBaseUser | None) -> int:
    with transaction.atomic():
        # The school first, as whoever stores an answer does; what it waited for has been decided.
        storage.lock_school(school_id)
        accept_later(HeldWeek.objects.filter(pk__in=pks), by=by)
        return _store(_being_accepted().filter(pk__in=pks))


def _store(accepted: QuerySet[HeldWeek]) -> int:
    """Those of one school, which has to be locked."""
    chosen = accepted.select_for_update(of=["self"]).order_by("monday")
    weeks = list(chosen.select_related("fetch"))
    for week in weeks:
        answer = storage.unpack(bytes(week.payload))
        storage.replace_week(week.school_id, week.monday, answer, run_id=week.fetch.run_id)
    return _end(weeks, HeldState.ACCEPTED)


def _give_back(accepted: QuerySet[HeldWeek]) -> None:
    """Tried again and again it would fail each time, and nobody would see that it waits."""
    with transaction.atomic():
        _locked(accepted).update(decided_at=None, decided_by=None)


def _end(weeks: Sequence[HeldWeek], state: HeldState) -> int:
    """Each is noted in the log of changes too, as the doing of whoever decided it."""
    ended = HeldWeek.objects.filter(pk__in=[week.pk for week in weeks])
    ended.update(state=state, decided_at=Now())
    by_user: dict[int | None, list[HeldWeek]] = {}
    for week in weeks:
        by_user.setdefault(week.decided_by_id, []).append(week)
    change = audit.change("state", HeldState.WAITING.label, state.label)
    for user_id, own in by_user.items():
        if user_id is not None:
            audit.record_each(user_id, own, change)
    return len(weeks)


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
