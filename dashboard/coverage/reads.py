"""What the coverage map shows: the cells of the aggregate, and how fresh the schools are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Q

from collection.models import (
    Coverage,
    CoverageCell,
    Level,
    Office,
    School,
)

FRESH_WITHIN = timedelta(days=7)
STALE_AFTER = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Tally:
    """Schools of one cell or of several together; their sum is what is expected."""

    collected: int = 0
    empty: int = 0
    failed: int = 0
    held: int = 0
    untried: int = 0

    @property
    def expected(self) -> int:
        return self.collected + self.empty + self.trouble

    @property
    def trouble(self) -> int:
        """Missing for a reason that is ours to mend, or to decide."""
        return self.failed + self.held + self.untried

    @property
    def missing(self) -> int:
        return self.empty + self.trouble

    @property
    def percent(self) -> int:
        """Rounded down: 100 is said of nothing but all."""
        return self.collected * 100 // self.expected if self.expected else 0


@dataclass(frozen=True, slots=True)
class Row:
    """One office and level; `tallies` has None for a week that no run has covered."""

    office: str
    level: str
    tallies: Sequence[Tally | None]

    @property
    def label(self) -> str:
        return str(Level(self.level).label)


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one office."""

    office: Office
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Map:
    mondays: Sequence[date]
    totals: Sequence[Tally | None]
    groups: Sequence[Group]


def read_map(mondays: Sequence[date], *, office: str = "", level: str = "") -> Map:
    cells = CoverageCell.objects.filter(monday__gte=mondays[0], monday__lte=mondays[-1])
    if office:
        cells = cells.filter(office=office)
    if level:
        cells = cells.filter(level=level)
    counts = cells.values_list("office_id", "level", "monday", *Coverage.values)
    tallies = {(row[0], row[1], row[2]): Tally(*row[3:]) for row in counts}
    rows: dict[str, dict[str, None]] = defaultdict(dict)
    for office_code, level_code, _ in sorted(tallies, key=lambda key: _LEVEL_ORDER[key[1]]):
        rows[office_code][level_code] = None
    groups = [
        Group(
            found,
            [
                Row(found.code, each, [tallies.get((found.code, each, m)) for m in mondays])
                for each in rows[found.code]
            ],
        )
        for found in Office.objects.filter(code__in=rows)
    ]
    by_week = defaultdict(list)
    for (_, _, monday), tally in tallies.items():
        by_week[monday].append(tally)
    return Map(mondays, [_total(by_week[monday]) for monday in mondays], groups)


_LEVEL_ORDER = {level: order for order, level in enumerate(Level.values)}


def _total(tallies: Iterable[Tally]) -> Tally | None:
    """None of nothing."""
    counts = [
        (each.collected, each.empty, each.failed, each.held, each.untried) for each in tallies
    ]
    return Tally(*map(sum, zip(*counts, strict=True))) if counts else None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long ago NEIS last answered for the schools that are open."""

    schools: int
    fresh: int
    stale: int
    never: int

    @property
    def fresh_percent(self) -> str:
        """Rounded down to one place."""
        permille = self.fresh * 1000 // self.schools if self.schools else 0
        return f"{permille // 10}.{permille % 10}"


def read_freshness(*, now: datetime) -> Freshness:
    return Freshness(
        **School.objects.filter(closed_at__isnull=True).aggregate(
            schools=Count("id"),
            fresh=Count("id", filter=Q(freshness__checked_at__gte=now - FRESH_WITHIN)),
            stale=Count("id", filter=Q(freshness__checked_at__lt=now - STALE_AFTER)),
            never=Count("id", filter=Q(freshness__checked_at__isnull=True)),
        )
    )
