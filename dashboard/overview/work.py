"""What runs, what failed, what is late, what waits for a decision, and what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Max, Min, OuterRef

from collection import due, held
from collection.models import (
    OPEN_RUN_STATES,
    ErrorClass,
    FetchState,
    Job,
    Run,
    SchoolFetch,
)
from collection.scheduling import in_words
from dashboard.runs.reads import RunRow, with_tallies

# What failed longer ago has been collected since, or is on the page of failures.
FAILED_WITHIN = timedelta(days=7)
# The pump starts what is due within seconds.
STARTS_WITHIN = timedelta(minutes=2)
_MOST_RUNS = 10
_MOST_DUE = 5


@dataclass(frozen=True, slots=True)
class OpenFailure:
    """Schools that failed, were not tried again and not collected since."""

    error_class: str
    label: str
    schools: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Late:
    """A run that takes longer than its job allows, or, without one, a job that was not started."""

    job: Job
    run: Run | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Due:
    job: Job
    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Held:
    weeks: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Work:
    runs: Sequence[RunRow]
    failures: Sequence[OpenFailure]
    late: Sequence[Late]
    held: Held
    due: Sequence[Due]
    has_jobs: bool


def read_work(*, now: datetime) -> Work:
    runs = list(
        Run.objects.filter(state__in=OPEN_RUN_STATES)
        .select_related("job")
        .order_by("-priority", "pk")[:_MOST_RUNS]
    )
    jobs = list(Job.objects.select_related("periodic_task__crontab", "periodic_task__interval"))
    return Work(
        runs=with_tallies(runs, now=now),
        failures=_read_failures(now),
        late=[*_late_runs(runs, now), *_late_starts(jobs, now)],
        held=_read_held(),
        due=_read_due(jobs, now),
        has_jobs=bool(jobs),
    )


def _read_failures(now: datetime) -> list[OpenFailure]:
    collected_since = SchoolFetch.objects.filter(
        school=OuterRef("school"),
        pk__gt=OuterRef("pk"),
        state__in=[FetchState.SUCCEEDED, FetchState.EMPTY],
    )
    rows = (
        SchoolFetch.objects.filter(
            state=FetchState.FAILED,
            finished_at__gt=now - FAILED_WITHIN,
            retried_by__isnull=True,
        )
        .exclude(Exists(collected_since))
        .order_by()
        .values_list("error_class")
        .annotate(schools=Count("id"), last_at=Max("finished_at"))
    )
    labels = dict(ErrorClass.choices)
    failures = [
        OpenFailure(name, str(labels.get(name, name)), schools, last_at)
        for name, schools, last_at in rows
    ]
    return sorted(failures, key=lambda failure: (-failure.schools, failure.error_class))


def _late_runs(runs: Sequence[Run], now: datetime) -> list[Late]:
    late = []
    for run in runs:
        if run.job is not None and run.job.alert_after_minutes:
            allowed = timedelta(minutes=run.job.alert_after_minutes)
            over = (run.due_at or run.created_at) + allowed
            if over < now:
                late.append(Late(run.job, run, over))
    return late


def _late_starts(jobs: Sequence[Job], now: datetime) -> list[Late]:
    late = []
    for job in jobs:
        schedule = due.schedule_of(job, now=now) if job.is_enabled else None
        if schedule is not None and job.settled_until is not None:
            missed = schedule.latest(at_or_before=now - STARTS_WITHIN, after=job.settled_until)
            if missed is not None:
                late.append(Late(job, None, missed))
    return late


def _read_held() -> Held:
    found = held.waiting().aggregate(weeks=Count("id"), since=Min("held_at"))
    return Held(found["weeks"], found["since"])


def _read_due(jobs: Sequence[Job], now: datetime) -> list[Due]:
    found = []
    for job in jobs:
        schedule = due.schedule_of(job, now=now) if job.is_enabled else None
        if schedule is not None:
            found += [Due(job, at, in_words(schedule)) for at in schedule.next_times(now, 1)]
    return sorted(found, key=lambda item: (item.at, item.job.name))[:_MOST_DUE]
