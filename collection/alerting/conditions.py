"""What is wrong right now, read from the ledger. Each read is one query, whatever the history."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, ExpressionWrapper, F, Min, Q, QuerySet
from django.db.models.fields import DurationField
from django.db.models.functions import Coalesce

from collection import breaker, heartbeats, held, liveness
from collection.models import (
    AlertKind,
    Breaker,
    FetchState,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
    SkipReason,
)

# Workers take over sooner; a scheduler that is being restarted is no news.
SCHEDULER_SILENT_AFTER = timedelta(minutes=2)
# A failure that nobody mended in this time has been told, and is no news any more.
LOOK_BACK = timedelta(days=8)

_OF_PAUSE = {
    PauseReason.QUOTA: AlertKind.QUOTA,
    PauseReason.KEYS: AlertKind.KEYS,
    PauseReason.GUARD: AlertKind.GUARD,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`count` of `of` is what the message names; `since` is when it began, where that is known."""

    kind: AlertKind
    subject: str
    job_id: int | None = None
    run_id: int | None = None
    error_class: str = ""
    count: int = 0
    of: int = 0
    since: datetime | None = None


def read(now: datetime) -> list[Condition]:
    return [
        *_failures(now),
        *_late(now),
        *_missed(now),
        *_paused(),
        *_held(),
        *_silent_scheduler(now),
        *_outage(),
        *_stalled(),
    ]


def _latest_runs(now: datetime) -> QuerySet[Run]:
    """The latest run of each job that asks for alerts."""
    return (
        Run.objects.filter(job__alert=True, created_at__gt=now - LOOK_BACK)
        .order_by("job_id", "-id")
        .distinct("job_id")
    )


def _failures(now: datetime) -> Iterator[Condition]:
    """By class of error, where the failed schools nobody has retried are more than the job allows."""
    runs = {
        run_id: (job_id, percent)
        for run_id, job_id, percent in _latest_runs(now).values_list(
            "id", "job", "job__alert_above_percent"
        )
    }
    failed = Q(state=FetchState.FAILED, retried_by__isnull=True)
    totals = (
        SchoolFetch.objects.filter(run__in=runs)
        .order_by()
        .values_list("run")
        .annotate(planned=Count("id"), failed=Count("id", filter=failed))
    )
    planned = {
        run_id: count
        for run_id, count, unwell in totals
        if unwell and unwell * 100 > count * runs[run_id][1]
    }
    classes = (
        SchoolFetch.objects.filter(failed, run__in=planned)
        .order_by()
        .values_list("run", "error_class")
        .annotate(count=Count("id"), since=Min("finished_at"))
    )
    for run_id, error_class, count, since in classes:
        yield Condition(
            AlertKind.FAILURES,
            f"run:{run_id}:{error_class}",
            job_id=runs[run_id][0],
            run_id=run_id,
            error_class=error_class,
            count=count,
            of=planned[run_id],
            since=since,
        )


def _late(now: datetime) -> Iterator[Condition]:
    deadline = ExpressionWrapper(
        F("job__alert_after_minutes") * timedelta(minutes=1), output_field=DurationField()
    )
    late = (
        Run.objects.filter(
            state__in=[RunState.RUNNING, RunState.PAUSED],
            job__alert=True,
            job__alert_after_minutes__isnull=False,
        )
        .annotate(began=Coalesce("due_at", "created_at"))
        .filter(began__lt=now - deadline)
    )
    for run_id, job_id, began in late.values_list("id", "job", "began"):
        yield Condition(AlertKind.LATE, f"run:{run_id}", job_id=job_id, run_id=run_id, since=began)


def _missed(now: datetime) -> Iterator[Condition]:
    unkept = [SkipReason.MISSED, SkipReason.NO_KEY, SkipReason.NO_SCHOOLS]
    for run in _latest_runs(now):
        if run.state == RunState.SKIPPED and run.skip_reason in unkept:
            yield Condition(
                AlertKind.MISSED,
                f"run:{run.pk}",
                job_id=run.job_id,
                run_id=run.pk,
                since=run.due_at,
            )


def _paused() -> Iterator[Condition]:
    """One for each reason: a spent quota pauses all runs alike."""
    paused = (
        Run.objects.filter(state=RunState.PAUSED, pause_reason__in=_OF_PAUSE)
        .order_by()
        .values_list("pause_reason")
        .annotate(count=Count("id"), first=Min("id"))
    )
    for reason, count, run_id in paused:
        kind = _OF_PAUSE[PauseReason(reason)]
        yield Condition(kind, kind.value, run_id=run_id, count=count)


def _held() -> Iterator[Condition]:
    weeks = held.waiting().aggregate(count=Count("id"), since=Min("held_at"))
    if weeks["count"]:
        yield Condition(AlertKind.HELD, "held", count=weeks["count"], since=weeks["since"])


def _silent_scheduler(now: datetime) -> Iterator[Condition]:
    seen_at = heartbeats.seen().get(heartbeats.SCHEDULER)
    if seen_at is not None and now - seen_at > SCHEDULER_SILENT_AFTER:
        yield Condition(AlertKind.SCHEDULER, "scheduler", since=seen_at)


def _outage() -> Iterator[Condition]:
    upstream = breaker.state()
    if upstream.state != Breaker.CLOSED:
        yield Condition(AlertKind.OUTAGE, "neis", since=upstream.down_since or upstream.since)


def _stalled() -> Iterator[Condition]:
    since = liveness.stalled_since()
    if since is not None:
        yield Condition(AlertKind.STALLED, "work", since=since)
