"""Whether the week is in: what is stored of it, against the schools that are open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Count, Q, Sum

from collection.models import Level, School, SchoolWeek
from collection.planning import KOREA, monday_of


@dataclass(frozen=True, slots=True)
class LevelOfWeek:
    """`stored` schools have an answer for the week, be it without a lesson; `checked` of them
    were asked about it since the week began."""

    level: Level
    expected: int
    stored: int
    checked: int
    entries: int
    entries_before: int

    @property
    def share(self) -> float | None:
        return self.stored / self.expected if self.expected else None

    @property
    def percent(self) -> float:
        return 100 * (self.share or 0.0)


@dataclass(frozen=True, slots=True)
class Week:
    """`entries_before` is what the same schools had in the week before."""

    monday: date
    levels: Sequence[LevelOfWeek]

    @property
    def expected(self) -> int:
        return sum(level.expected for level in self.levels)

    @property
    def stored(self) -> int:
        return sum(level.stored for level in self.levels)

    @property
    def checked(self) -> int:
        return sum(level.checked for level in self.levels)

    @property
    def entries(self) -> int:
        return sum(level.entries for level in self.levels)

    @property
    def entries_before(self) -> int:
        return sum(level.entries_before for level in self.levels)

    @property
    def missing(self) -> int:
        return self.expected - self.stored

    @property
    def share(self) -> float | None:
        return self.stored / self.expected if self.expected else None


def read_week(*, now: datetime) -> Week:
    """The week of `now` in Korea, in two queries."""
    monday = monday_of(now.astimezone(KOREA).date())
    before = monday - timedelta(weeks=1)
    begins = datetime.combine(monday, time(), KOREA)
    expected = dict(
        School.objects.filter(closed_at__isnull=True)
        .order_by()
        .values_list("level")
        .annotate(count=Count("id"))
    )
    rows = (
        SchoolWeek.objects.filter(monday__in=[monday, before], school__closed_at__isnull=True)
        .order_by()
        .values("school__level", "monday")
        .annotate(
            schools=Count("id"),
            checked=Count("id", filter=Q(checked_at__gte=begins)),
            lessons=Sum("entries"),
        )
    )
    found = {(row["school__level"], row["monday"]): row for row in rows}
    nothing = {"schools": 0, "checked": 0, "lessons": 0}
    levels = []
    for level in Level:
        if level in expected:
            this = found.get((level, monday), nothing)
            levels.append(
                LevelOfWeek(
                    level=level,
                    expected=expected[level],
                    stored=this["schools"],
                    checked=this["checked"],
                    entries=this["lessons"],
                    entries_before=found.get((level, before), nothing)["lessons"],
                )
            )
    return Week(monday, levels)
