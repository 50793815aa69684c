"""Failures counted by what went wrong, over the last hour, day, week and four weeks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, F, QuerySet, Sum

from collection.models import CoverageCell, ErrorClass, School, SchoolFetch
from collection.planning import KOREA, monday_of
from dashboard.failures.advice import OTHER_TASKS, Advice, Blame, advice_on

HOURS = (1, 24, 7 * 24, 28 * 24)
LONGEST = timedelta(hours=HOURS[-1])
UNWELL = ("failed", "postponed", "lost")
_MOST_SCHOOLS = 10

_COUNTS = ", ".join(
    f"count(*) FILTER (WHERE {{time}} >= %(now)s - interval '{hours} hours')" for hours in HOURS
)
# The first time is looked up for each group by the index that begins with class and code.
_BY_ERROR = f"""
WITH recent AS (
    SELECT error_class, error_code, {_COUNTS.format(time="finished_at")}, max(finished_at) AS last
      FROM {{table}}
     WHERE {{condition}} AND finished_at >= %(now)s - interval '{HOURS[-1]} hours' {{open}}
     GROUP BY error_class, error_code
)
SELECT recent.*, (SELECT min(finished_at) FROM {{table}} AS item
                   WHERE {{condition}} AND item.error_class = recent.error_class
                     AND item.error_code = recent.error_code)
  FROM recent ORDER BY last DESC
"""
_FETCHES = _BY_ERROR.format(
    table="collection_schoolfetch", condition="state = 'failed'", open="AND retried_by_id IS NULL"
)
_ATTEMPTS = _BY_ERROR.format(
    table="collection_attempt",
    condition="outcome IN ('failed', 'postponed', 'lost')",
    open="",
)
# All of the kept failures: they are few, and django-celery-results keeps them for 30 days.
_TASKS = f"""
SELECT coalesce(task_name, ''), coalesce(substring(result from '"exc_type": "([^"]*)"'), '') AS code,
       {_COUNTS.format(time="date_done")}, max(date_done) AS last, min(date_done)
  FROM django_celery_results_taskresult WHERE status = 'FAILURE'
 GROUP BY 1, 2 ORDER BY last DESC
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Failures of one class and code; of other tasks, of one name and exception."""

    kind: str
    code: str
    label: str
    counts: Sequence[tuple[int, int]]
    first_seen: datetime
    last_seen: datetime
    advice: Advice


def read_fetch_groups(*, now: datetime) -> list[Group]:
    """Schools that failed for good, and that nobody has tried again since."""
    return _error_groups(_FETCHES, now)


def read_attempt_groups(*, now: datetime) -> list[Group]:
    return _error_groups(_ATTEMPTS, now)


def read_task_groups(*, now: datetime) -> list[Group]:
    """Of every task that Celery says has failed. An attempt that fails is no failed task: its
    error is the ledger's, and the task ends well."""
    return [_group(row, label=row[0], advice=OTHER_TASKS) for row in _rows(_TASKS, now)]


def _error_groups(statement: str, now: datetime) -> list[Group]:
    labels = dict(ErrorClass.choices)
    return [
        _group(row, label=str(labels.get(row[0], row[0])), advice=advice_on(row[0]))
        for row in _rows(statement, now)
    ]


def _rows(statement: str, now: datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"now": now})
        return list(cursor.fetchall())


def _group(row: tuple[Any, ...], *, label: str, advice: Advice) -> Group:
    kind, code, *counts, last, first = row
    return Group(kind, code, label, list(zip(HOURS, counts, strict=True)), first, last, advice)


@dataclass(frozen=True, slots=True)
class BlameSplit:
    """Schools that failed within 7 days, by whose it is to mend; and those that NEIS has nothing
    of for `monday`, the last week that is over."""

    neis: int
    us: int
    unpublished: int
    monday: date


def split_blame(groups: Sequence[Group], *, now: datetime) -> BlameSplit:
    counts = dict.fromkeys(Blame, 0)
    for group in groups:
        counts[group.advice.blame] += dict(group.counts)[7 * 24]
    monday = monday_of(now.astimezone(KOREA).date()) - timedelta(weeks=1)
    cells = CoverageCell.objects.filter(monday=monday)
    unpublished = cells.aggregate(schools=Sum("empty", default=0))["schools"]
    return BlameSplit(counts[Blame.NEIS], counts[Blame.US], unpublished, monday)


@dataclass(frozen=True, slots=True)
class Retries:
    """Of the fetches that ended within four weeks and needed more than one attempt."""

    by_attempts: Sequence[tuple[int, int]]
    schools: Sequence[tuple[School, int, int]]


def read_retries(*, now: datetime) -> Retries:
    retried = SchoolFetch.objects.filter(attempt__gt=1, finished_at__gte=now - LONGEST).order_by()
    by_attempts = retried.values_list("attempt").annotate(count=Count("id")).order_by("attempt")
    return Retries(list(by_attempts), _schools_retried_most(retried))


def _schools_retried_most(retried: QuerySet[SchoolFetch]) -> list[tuple[School, int, int]]:
    """Each with its retries, and the fetches that needed them."""
    rows = list(
        retried.filter(school__isnull=False)
        .values_list("school")
        .annotate(retries=Sum(F("attempt") - 1), fetches=Count("id"))
        .order_by("-retries", "school")[:_MOST_SCHOOLS]
    )
    schools = School.objects.select_related("office").in_bulk([row[0] for row in rows])
    return [(schools[pk], retries, fetches) for pk, retries, fetches in rows]
