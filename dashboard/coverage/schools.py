"""The schools behind a cell, each with the reason why it is missing: read from the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from collection import coverage
from collection.coverage import SchoolCoverage
from collection.models import (
    OPEN_FETCH_STATES,
    OPEN_RUN_STATES,
    Coverage,
    CoverageCell,
    Dataset,
    Run,
    School,
    SchoolFetch,
    SchoolWeek,
)
from collection.planning import KOREA, window
from collection.starting import Plan
from dashboard.coverage.reads import Tally
from dashboard.coverage.reasons import Reason, reason_of

MOST_SHOWN = 100
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which schools of a week; what is empty means all. The state MISSING: all but collected."""

    monday: date
    office: str = ""
    level: str = ""
    state: str = ""

    @property
    def kinds(self) -> list[Coverage]:
        if self.state == MISSING:
            return [kind for kind in Coverage if kind is not Coverage.COLLECTED]
        return [kind for kind in Coverage if self.state in ("", kind)]

    def find(self, *, most: int | None = None) -> tuple[dict[Coverage, int], list[SchoolCoverage]]:
        """All schools of the office and level, counted; and those in the state."""
        return coverage.of_week(
            self.monday, office=self.office, level=self.level, kinds=self.kinds, most=most
        )

    @property
    def query(self) -> str:
        return urlencode({"office": self.office, "level": self.level, "state": self.state})

    def plan(self, codes: Sequence[str]) -> Plan:
        """The week alone, of the schools with these codes."""
        return Plan(
            first_monday=self.monday,
            weeks=1,
            levels=[self.level] if self.level else [],
            offices=[self.office] if self.office else [],
            schools=codes,
        )

    def schools(self) -> QuerySet[School]:
        schools = School.objects.all()
        if self.office:
            schools = schools.filter(office=self.office)
        if self.level:
            schools = schools.filter(level=self.level)
        return schools


@dataclass(frozen=True, slots=True)
class Line:
    """One school and why; `failed` is its last fetch if that failed."""

    school: School
    reason: Reason
    checked_at: datetime | None = None
    changed_at: datetime | None = None
    failed: SchoolFetch | None = None


@dataclass(frozen=True, slots=True)
class WeekOfSchools:
    """`lines` are the first MOST_SHOWN of the `matching`; `unexpected` are closed or too young."""

    tally: Tally
    lines: Sequence[Line]
    matching: int
    unexpected: Sequence[Line]


def read_week(choice: Choice, *, today: date) -> WeekOfSchools:
    counts, found = choice.find(most=MOST_SHOWN)
    return WeekOfSchools(
        tally=Tally(**{kind.value: count for kind, count in counts.items()}),
        lines=_explain(found, choice.monday, today),
        matching=sum(counts[kind] for kind in choice.kinds),
        unexpected=_unexpected(choice),
    )


def read_reason(school: School, monday: date, *, today: date) -> Line | None:
    """None where the school is not expected in the week."""
    _, found = coverage.of_week(monday, school_id=school.pk)
    return next(iter(_explain(found, monday, today)), None)


def codes_to_collect(choice: Choice) -> list[str]:
    """The codes of those schools of `choice` that are still open."""
    _, found = choice.find()
    ids = [each.school_id for each in found]
    schools = School.objects.filter(pk__in=ids, closed_at__isnull=True)
    return list(schools.order_by("code").values_list("code", flat=True))


def _explain(found: Sequence[SchoolCoverage], monday: date, today: date) -> list[Line]:
    ids = [each.school_id for each in found]
    schools = School.objects.select_related("office").in_bulk(ids)
    failed = SchoolFetch.objects.in_bulk([each.failed_id for each in found if each.failed_id])
    under_way = _under_way(ids, monday)
    checked, with_data = _history(ids)
    mostly_empty = _mostly_empty(monday)
    return [
        Line(
            school=(school := schools[each.school_id]),
            reason=reason_of(
                each.coverage,
                monday=monday,
                today=today,
                under_way=school.pk in under_way,
                weeks_checked=checked.get(school.pk, 0),
                weeks_with_data=with_data.get(school.pk, 0),
                most_are_empty=(school.office_id, school.level) in mostly_empty,
            ),
            checked_at=each.checked_at,
            changed_at=each.changed_at,
            failed=failed.get(each.failed_id or 0),
        )
        for each in found
    ]


def _under_way(school_ids: Sequence[int], monday: date) -> set[int]:
    open_runs = Run.objects.filter(dataset=Dataset.TIMETABLE, state__in=OPEN_RUN_STATES)
    covering = [run for run in open_runs if monday in window(run.first_monday, run.weeks)]
    fetches = SchoolFetch.objects.filter(
        run__in=covering, school__in=school_ids, state__in=OPEN_FETCH_STATES
    )
    return {school_id for school_id in fetches.values_list("school_id", flat=True) if school_id}


def _history(school_ids: Sequence[int]) -> tuple[dict[int, int], dict[int, int]]:
    """By school: the weeks that NEIS answered for, and those of them with data."""
    weeks = SchoolWeek.objects.filter(school__in=school_ids).values_list("school_id")
    rows = weeks.annotate(checked=Count("id"), with_data=Count("id", filter=Q(entries__gt=0)))
    counts = [(school_id, checked, with_data) for school_id, checked, with_data in rows]
    return {row[0]: row[1] for row in counts}, {row[0]: row[2] for row in counts}


def _mostly_empty(monday: date) -> set[tuple[str, str]]:
    """The offices and levels of which more than half published nothing for the week."""
    cells = CoverageCell.objects.filter(
        monday=monday, empty__gt=F("collected") + F("failed") + F("held") + F("untried")
    )
    return set(cells.values_list("office_id", "level"))


def _unexpected(choice: Choice) -> list[Line]:
    """As collection.coverage has it: nothing is stored, and it was closed or not founded yet."""
    week_begins = datetime.combine(choice.monday + timedelta(days=1), time(), KOREA)
    stored = SchoolWeek.objects.filter(school=OuterRef("pk"), monday=choice.monday, entries__gt=0)
    schools = choice.schools().filter(
        Q(closed_at__lt=week_begins) | Q(founded_on__gte=choice.monday + timedelta(days=7))
    )
    left_out = schools.exclude(Exists(stored)).order_by("office", "level", "name", "id")
    return [
        Line(school, Reason.CLOSED if school.closed_at else Reason.NOT_FOUNDED)
        for school in left_out[:MOST_SHOWN]
    ]
