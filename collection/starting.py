"""Runs are begun: planned as a whole, by a job or by hand, and again for what failed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from collection import partitions, runs
from collection.models import (
    Dataset,
    FetchState,
    Job,
    OverlapPolicy,
    PauseReason,
    Run,
    RunState,
    School,
    SchoolFetch,
    SkipReason,
    Trigger,
)
from collection.planning import first_monday_at, window

_LINK_RETRIES = """
UPDATE collection_schoolfetch AS old
   SET retried_by_id = new.id
  FROM collection_schoolfetch AS new
 WHERE new.run_id = %s AND old.id = ANY(%s)
   AND old.school_id IS NOT DISTINCT FROM new.school_id
"""


class NotStarted(Exception):
    """No run was started; the text tells an operator why.

    NotStarted
    ├── AlreadyOpen   an earlier run of the job is open, and the job says to skip
    ├── NoKey         there is no key of NEIS
    └── NoSchools     no school matches
    """

    skip_reason: SkipReason


class AlreadyOpen(NotStarted):
    skip_reason = SkipReason.OVERLAP

    def __init__(self, run: Run) -> None:
        super().__init__(gettext("Run %(run)s of this job is still open.") % {"run": run})
        self.run = run


class NoKey(NotStarted):
    skip_reason = SkipReason.NO_KEY

    def __init__(self) -> None:
        super().__init__(gettext("There is no API key: set NEIS_API_KEYS."))


class NoSchools(NotStarted):
    skip_reason = SkipReason.NO_SCHOOLS

    def __init__(self) -> None:
        super().__init__(gettext("No school matches: there would be nothing to do."))


@dataclass(frozen=True, slots=True)
class Plan:
    """Which schools and which weeks. Empty `levels`, `offices` or `schools`: all of them.

    A plan for the school list is one fetch, of `offices` or of all; its weeks mean nothing.
    """

    first_monday: date
    weeks: int
    levels: Sequence[str] = ()
    offices: Sequence[str] = ()
    schools: Sequence[str] = ()
    priority: int = 5
    dataset: Dataset = Dataset.TIMETABLE
    most_at_once: int | None = None

    def matching_schools(self) -> QuerySet[School]:
        matching = School.objects.filter(closed_at__isnull=True)
        if self.levels:
            matching = matching.filter(level__in=self.levels)
        if self.offices:
            matching = matching.filter(office__in=self.offices)
        if self.schools:
            matching = matching.filter(code__in=self.schools)
        return matching


def plan_of(job: Job, now: datetime) -> Plan:
    """What a run of the job that begins at `now` has to do."""
    is_list = job.dataset == Dataset.SCHOOL_LIST
    return Plan(
        first_monday=first_monday_at(now, offset=0 if is_list else job.window_offset),
        weeks=1 if is_list else job.window_weeks,
        levels=() if is_list else job.levels,
        offices=list(job.offices.values_list("code", flat=True)) if job.pk else (),
        priority=job.priority,
        dataset=Dataset(job.dataset),
        most_at_once=job.most_at_once,
    )


def start(
    plan: Plan,
    *,
    trigger: Trigger,
    now: datetime,
    job: Job | None = None,
    due_at: datetime | None = None,
    started_by: AbstractBaseUser | None = None,
    retry_of: Run | None = None,
    waits: bool = False,
) -> Run:
    """A run with all of its fetches, or none of both. Raises NoSchools.

    One that `waits` begins when no earlier run of its job is open any more.
    """
    return _create(
        plan,
        _schools_to_fetch(plan),
        job=job,
        trigger=trigger,
        due_at=due_at,
        started_by_id=started_by and started_by.pk,
        retry_of=retry_of,
        state=RunState.PAUSED if waits else RunState.RUNNING,
        pause_reason=PauseReason.OVERLAP if waits else "",
        created_at=now,
    )


def _create(plan: Plan, schools: Sequence[int | None], **columns: Any) -> Run:
    if plan.dataset == Dataset.TIMETABLE:
        partitions.ensure(window(plan.first_monday, plan.weeks))
    with transaction.atomic():
        run = Run.objects.create(**columns_of(plan), **columns)
        SchoolFetch.objects.bulk_create(
            (SchoolFetch(run=run, school_id=school_id) for school_id in schools), batch_size=2000
        )
    return run


def columns_of(plan: Plan) -> dict[str, Any]:
    """What a row of a run keeps of its plan."""
    return {
        "dataset": plan.dataset,
        "levels": list(plan.levels),
        "offices": list(plan.offices),
        "first_monday": plan.first_monday,
        "weeks": plan.weeks,
        "priority": plan.priority,
        "most_at_once": plan.most_at_once,
    }


def _schools_to_fetch(plan: Plan) -> Sequence[int | None]:
    if plan.dataset == Dataset.SCHOOL_LIST:
        return [None]
    schools = list(plan.matching_schools().order_by("level", "id").values_list("id", flat=True))
    if not schools:
        raise NoSchools
    return schools


def start_of_job(
    job: Job,
    plan: Plan,
    *,
    trigger: Trigger,
    now: datetime,
    due_at: datetime | None = None,
    started_by: AbstractBaseUser | None = None,
) -> Run:
    """Starts a run of a job as its overlap policy allows; one caller at a time for each job.

    Raises NotStarted. Retries of single schools never stand in the way of a whole run.
    """
    require_key()
    with transaction.atomic():
        policy = Job.objects.select_for_update(no_key=True).get(pk=job.pk).overlap
        open_runs = runs.open_whole().filter(job=job).order_by("id")
        waiting = open_runs.filter(pause_reason=PauseReason.OVERLAP).first()
        blocking = waiting if policy == OverlapPolicy.WAIT else open_runs.first()
        if policy == OverlapPolicy.CANCEL:
            for run in open_runs:
                runs.cancel(run.pk)
        elif blocking is not None:
            raise AlreadyOpen(blocking)
        return start(
            plan,
            trigger=trigger,
            now=now,
            job=job,
            due_at=due_at,
            started_by=started_by,
            waits=policy == OverlapPolicy.WAIT and open_runs.exists(),
        )


def run_now(
    job: Job,
    *,
    now: datetime,
    started_by: AbstractBaseUser | None,
    first_monday: date | None = None,
    weeks: int | None = None,
) -> Run:
    """By hand, with a window of its own if one is given. Raises NotStarted."""
    plan = plan_of(job, now)
    plan = replace(plan, first_monday=first_monday or plan.first_monday, weeks=weeks or plan.weeks)
    return start_of_job(job, plan, trigger=Trigger.MANUAL, now=now, started_by=started_by)


def retryable(fetches: QuerySet[SchoolFetch]) -> QuerySet[SchoolFetch]:
    """Those of `fetches` that `retry` takes: failed, and not retried yet."""
    return fetches.filter(state=FetchState.FAILED, retried_by__isnull=True)


def retry(
    fetches: QuerySet[SchoolFetch], *, now: datetime, started_by: AbstractBaseUser | None
) -> list[Run]:
    """One run for each job and window among the failed of `fetches`: all of these or none.

    A school that failed twice in one window is fetched once for both; `retried_by` leads from the
    old fetch to the new one. Raises NoKey. No run: nothing was left to retry.
    """
    require_key()
    with transaction.atomic():
        failed = list(
            retryable(SchoolFetch.objects.filter(pk__in=fetches.order_by().values("pk")))
            .select_related("run")
            .select_for_update(of=("self",))
            .order_by("pk")
        )
        failed.sort(key=_retried_together)
        groups = [list(group) for _, group in groupby(failed, key=_retried_together)]
        return [_retry(group, now=now, started_by=started_by) for group in groups]


def _retried_together(fetch: SchoolFetch) -> tuple[int, str, date, int]:
    run = fetch.run
    return run.job_id or 0, run.dataset, run.first_monday, run.weeks


def _retry(
    failed: Sequence[SchoolFetch], *, now: datetime, started_by: AbstractBaseUser | None
) -> Run:
    last = max((fetch.run for fetch in failed), key=lambda run: run.pk)
    schools = dict.fromkeys(fetch.school_id for fetch in failed)
    run = _create(
        _plan_again(last),
        list(schools),
        job=last.job,
        trigger=Trigger.RETRY,
        retry_of=last,
        started_by_id=started_by and started_by.pk,
        created_at=now,
    )
    with connection.cursor() as cursor:
        cursor.execute(_LINK_RETRIES, [run.pk, [fetch.pk for fetch in failed]])
    return run


def _plan_again(run: Run) -> Plan:
    return Plan(
        first_monday=run.first_monday,
        weeks=run.weeks,
        levels=run.levels,
        offices=run.offices,
        priority=run.priority,
        dataset=Dataset(run.dataset),
        most_at_once=run.most_at_once,
    )


def require_key() -> None:
    if not settings.NEIS_API_KEYS:
        raise NoKey
