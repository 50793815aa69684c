"""What the pages of runs and fetches show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, QuerySet
from django.http import QueryDict
from django_celery_results.models import TaskResult

from collection.models import (
    OPEN_RUN_STATES,
    Attempt,
    AttemptOutcome,
    ErrorClass,
    FetchState,
    HeldWeek,
    Office,
    RejectedRow,
    Run,
    RunState,
    SchoolFetch,
)
from dashboard.paging import Page, read_page
from dashboard.runs.tallies import Breakdown, Tally, break_down, tally_runs

_MOST_EXTREMES = 5
_MOST_NEIGHBOURS = 5
_MOST_REJECTED_ROWS = 50
_TOOK = ExpressionWrapper(F("finished_at") - F("claimed_at"), output_field=DurationField())
UNWELL_OUTCOMES = (AttemptOutcome.FAILED, AttemptOutcome.POSTPONED, AttemptOutcome.LOST)


@dataclass(frozen=True, slots=True)
class RunRow:
    run: Run
    tally: Tally
    now: datetime

    @property
    def is_open(self) -> bool:
        return self.run.state in OPEN_RUN_STATES

    @property
    def took(self) -> timedelta:
        return (self.run.finished_at or self.now) - self.run.created_at

    @property
    def possible(self) -> set[str]:
        """The names of the actions that it makes sense to offer."""
        if not self.is_open:
            return {"retry"} if self.tally.failed else set()
        return {"resume" if self.run.state == RunState.PAUSED else "pause", "cancel"}


@dataclass(frozen=True, slots=True)
class RunPage:
    rows: Sequence[RunRow]
    page: Page[Run]


def read_runs(runs: QuerySet[Run], query: QueryDict, *, now: datetime, size: int = 20) -> RunPage:
    page = read_page(runs.select_related("job"), query, size=size)
    return RunPage(with_tallies(page.rows, now=now), page)


def with_tallies(runs: Sequence[Run], *, now: datetime) -> list[RunRow]:
    tallies = tally_runs(runs)
    return [RunRow(run, tallies[run.pk], now) for run in runs]


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Attempts of one class that did not end well, and the schools that failed for good by it."""

    error_class: str
    label: str
    attempts: int
    failed: int


@dataclass(frozen=True, slots=True)
class Part:
    """A level or an office of a run; `value` is what the filter of that name takes."""

    value: str
    label: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class RunDetails:
    run: Run
    breakdown: Breakdown
    groups: Sequence[Group]
    errors: Sequence[ErrorRow]
    attempts: Sequence[tuple[int, int]]
    slowest: Sequence[SchoolFetch]
    largest: Sequence[SchoolFetch]
    retries: Sequence[Run]
    row: RunRow


def read_run(run_id: int) -> Run | None:
    return Run.objects.select_related("job", "started_by", "retry_of").filter(pk=run_id).first()


def read_details(run: Run, *, now: datetime) -> RunDetails:
    fetches = SchoolFetch.objects.filter(run=run)
    breakdown = break_down(run.pk)
    return RunDetails(
        run=run,
        breakdown=breakdown,
        groups=_group(breakdown),
        errors=_read_errors(run),
        attempts=_count_attempts(fetches),
        slowest=_extremes(fetches.filter(finished_at__isnull=False), F("took").desc()),
        largest=_extremes(fetches.filter(received__gt=0), F("received").desc()),
        retries=list(run.retries.order_by("pk")),
        row=RunRow(run, breakdown.whole, now),
    )


def _group(breakdown: Breakdown) -> list[Group]:
    names = dict(Office.objects.values_list("code", "name"))
    levels = [Part(level, str(level.label), tally) for level, tally in breakdown.by_level.items()]
    offices = [Part(code, names[code], tally) for code, tally in breakdown.by_office.items()]
    return [Group("level", levels), Group("office", offices)]


def _read_errors(run: Run) -> list[ErrorRow]:
    # Bounded by the run's own time, so that the index of failed attempts answers alone.
    attempts = Attempt.objects.filter(
        outcome__in=UNWELL_OUTCOMES, finished_at__gte=run.created_at, fetch__run=run
    )
    if run.finished_at:
        attempts = attempts.filter(finished_at__lte=run.finished_at)
    tried = dict(attempts.order_by().values_list("error_class").annotate(count=Count("id")))
    failed = dict(
        SchoolFetch.objects.filter(run=run, state=FetchState.FAILED)
        .order_by()
        .values_list("error_class")
        .annotate(count=Count("id"))
    )
    labels = dict(ErrorClass.choices)
    rows = [
        ErrorRow(name, str(labels.get(name, name)), tried.get(name, 0), failed.get(name, 0))
        for name in {*tried, *failed}
    ]
    return sorted(rows, key=lambda row: (-row.failed, -row.attempts, row.error_class))


def _count_attempts(fetches: QuerySet[SchoolFetch]) -> list[tuple[int, int]]:
    """How many schools needed how many attempts."""
    return list(
        fetches.filter(attempt__gt=0)
        .order_by("attempt")
        .values_list("attempt")
        .annotate(count=Count("id"))
    )


def _extremes(fetches: QuerySet[SchoolFetch], order: Any) -> list[SchoolFetch]:
    # Schools are read for the few that are shown: joined, all of them would be sorted along.
    rows = fetches.annotate(took=_TOOK).filter(took__isnull=False, school__isnull=False)
    return list(rows.prefetch_related("school").order_by(order, "pk")[:_MOST_EXTREMES])


def read_fetches(fetches: QuerySet[SchoolFetch], query: QueryDict) -> Page[SchoolFetch]:
    rows = fetches.prefetch_related("school__office").annotate(took=_TOOK)
    return read_page(rows, query)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    attempt: Attempt
    result_id: int | None

    @property
    def took(self) -> timedelta:
        return self.attempt.finished_at - self.attempt.started_at


@dataclass(frozen=True, slots=True)
class FetchDetails:
    """`later` and `earlier` are fetches of the same school, the nearest first."""

    fetch: SchoolFetch
    attempts: Sequence[AttemptRow]
    rejected: Sequence[RejectedRow]
    held: Sequence[HeldWeek]
    later: Sequence[SchoolFetch]
    earlier: Sequence[SchoolFetch]

    @property
    def others(self) -> list[SchoolFetch]:
        """In the order of time, with this one in between."""
        return [*reversed(self.earlier), self.fetch, *self.later]

    @property
    def possible(self) -> set[str]:
        """The names of the actions that it makes sense to offer."""
        names = set()
        if self.fetch.state == FetchState.FAILED and self.fetch.retried_by is None:
            names.add("retry")
        if any(week.is_undecided for week in self.held):
            names |= {"accept", "reject"}
        return names


def read_fetch(fetch_id: int) -> FetchDetails | None:
    fetch = (
        SchoolFetch.objects.select_related("run__job", "school__office", "retried_by")
        .filter(pk=fetch_id)
        .first()
    )
    if fetch is None:
        return None
    others = SchoolFetch.objects.filter(school=fetch.school_id).select_related("run")
    return FetchDetails(
        fetch=fetch,
        attempts=_read_attempts(fetch),
        rejected=list(fetch.rejected_rows.all()[:_MOST_REJECTED_ROWS]),
        held=list(fetch.held_weeks.defer("payload").order_by("monday")),
        later=list(others.filter(pk__gt=fetch.pk).order_by("pk")[:_MOST_NEIGHBOURS]),
        earlier=list(others.filter(pk__lt=fetch.pk).order_by("-pk")[:_MOST_NEIGHBOURS]),
    )


def _read_attempts(fetch: SchoolFetch) -> list[AttemptRow]:
    attempts = list(fetch.attempts.order_by("number"))
    task_ids = [str(attempt.task_id) for attempt in attempts if attempt.task_id]
    results = dict(TaskResult.objects.filter(task_id__in=task_ids).values_list("task_id", "pk"))
    return [AttemptRow(attempt, results.get(str(attempt.task_id))) for attempt in attempts]
