"""Keeps the due times of the jobs: each starts one run at most, or is noted as skipped.

Safe to call anywhere, any number of times at once: the row of the job is locked, and the database
takes one run for a job and due time. A job's periodic task says when it is due; what beat sends is
a hint. A job that was switched off, or whose schedule is another one, begins anew: what was due
before that moment starts nothing.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet

from collection import scheduling, starting
from collection.models import Job, MissedPolicy, Run, RunState, SkipReason, Trigger
from collection.scheduling import Schedule

logger = logging.getLogger(__name__)

# The pump looks every few seconds: what is later than this was missed.
ON_TIME = timedelta(minutes=1)
# After a long outage of a frequent job more rows would tell nobody more.
MOST_NOTED = 5


def settle(*, now: datetime, jobs: Iterable[int] | None = None) -> list[Run]:
    """Starts what has come due, of all jobs or of `jobs`; one query when there is nothing to do.

    Of the due times since the last look the latest is kept, if it is on time or the job wants it
    late; the others are noted as missed. Returns the runs that were started.
    """
    wanted = Job.objects.all() if jobs is None else Job.objects.filter(pk__in=jobs)
    started = []
    for job in _scheduled_jobs(wanted):
        if not _has_news(job, now):
            continue
        try:
            run = _settle_job(job.pk, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # One job must not keep the others from being started.
            logger.exception("The due times of job %s can't be settled.", job.pk)
            continue
        if run is not None:
            started.append(run)
    return started


def schedule_of(job: Job, *, now: datetime) -> Schedule | None:
    """None without a periodic task, or with one that no job can have."""
    if job.periodic_task is None:
        return None
    anchor = job.settled_until if job.settled_schedule else None
    try:
        return scheduling.schedule_of(job.periodic_task, anchor=anchor or now)
    except ValidationError:
        return None


def next_times(job: Job, *, now: datetime, count: int = 1) -> list[datetime]:
    """When the job is due next; empty when it is off."""
    schedule = schedule_of(job, now=now) if job.is_enabled else None
    return schedule.next_times(now, count) if schedule else []


def begin_anew(jobs: QuerySet[Job], *, now: datetime) -> None:
    """Whatever was due until `now` starts nothing; the schedules hold from here on."""
    for job in _scheduled_jobs(jobs):
        Job.objects.filter(pk=job.pk).update(
            settled_until=now, settled_schedule=scheduling.fingerprint(job.periodic_task)
        )


def _scheduled_jobs(jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.filter(periodic_task__isnull=False).select_related(
        "periodic_task__crontab", "periodic_task__interval"
    )


def _is_as_it_was(job: Job) -> bool:
    return job.settled_schedule == scheduling.fingerprint(job.periodic_task)


def _has_news(job: Job, now: datetime) -> bool:
    return not _is_as_it_was(job) or bool(_due_times(job, now, most=1))


def _due_times(job: Job, now: datetime, *, most: int) -> list[datetime]:
    """Of a job whose schedule is as it was; the earliest first."""
    if not job.is_enabled or job.settled_until is None:
        return []
    schedule = schedule_of(job, now=now)
    if schedule is None:
        return []
    return schedule.latest_times(at_or_before=now, after=job.settled_until, most=most)


def _settle_job(job_id: int, now: datetime) -> Run | None:
    with transaction.atomic():
        # Who finds the row locked has nothing to do: somebody is settling the job just now.
        job = (
            _scheduled_jobs(Job.objects.filter(pk=job_id))
            .select_for_update(of=("self",), skip_locked=True, no_key=True)
            .first()
        )
        if job is None:
            return None
        if not _is_as_it_was(job):
            if job.is_enabled and schedule_of(job, now=now) is None:
                logger.warning("Job %s is on, yet its periodic task has no usable schedule.", job)
            begin_anew(Job.objects.filter(pk=job_id), now=now)
            return None
        times = _due_times(job, now, most=MOST_NOTED)
        if not times:
            return None
        *missed, latest = times
        for due_at in missed:
            _note_skipped(job, due_at, SkipReason.MISSED, now)
        run = _keep(job, latest, now)
        Job.objects.filter(pk=job_id).update(settled_until=latest)
    return run


def _keep(job: Job, due_at: datetime, now: datetime) -> Run | None:
    late = now - due_at
    if late > ON_TIME and not _is_wanted_late(job, late):
        _note_skipped(job, due_at, SkipReason.MISSED, now)
        return None
    if Run.objects.filter(job=job, due_at=due_at).exists():
        return None
    try:
        return starting.start_of_job(
            job,
            # The weeks that the due time meant, however late it is kept.
            starting.plan_of(job, due_at),
            trigger=Trigger.SCHEDULE if late <= ON_TIME else Trigger.CATCH_UP,
            now=now,
            due_at=due_at,
        )
    except starting.NotStarted as refusal:
        logger.warning("Job %s, due at %s: %s", job.pk, due_at, refusal)
        _note_skipped(job, due_at, refusal.skip_reason, now)
        return None


def _is_wanted_late(job: Job, late: timedelta) -> bool:
    return job.missed == MissedPolicy.RUN_ONCE and late <= timedelta(hours=job.missed_within_hours)


def _note_skipped(job: Job, due_at: datetime, reason: SkipReason, now: datetime) -> None:
    run = Run(
        **starting.columns_of(starting.plan_of(job, due_at)),
        job=job,
        trigger=Trigger.SCHEDULE,
        due_at=due_at,
        state=RunState.SKIPPED,
        skip_reason=reason,
        created_at=now,
        finished_at=now,
    )
    Run.objects.bulk_create([run], ignore_conflicts=True)
