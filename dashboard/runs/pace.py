"""How fast a run goes, and when it will be over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Sum

from collection.models import Run, RunState, SchoolFetch, Trigger
from collection.retrying import RetryRule, backoff_seconds
from dashboard.runs.estimating import Estimate, Left, Retrying, look_back_seconds, time_left
from dashboard.runs.tallies import Breakdown, Tally

_SLICES = 20
# From so many schools on, a level's own requests in this run tell what the rest will need.
_ENOUGH_SCHOOLS = 20

_DONE_LATELY = """
SELECT LEAST(floor(extract(epoch FROM %(now)s - item.finished_at) / %(width)s)::int, %(last)s),
       school.level, count(*)
  FROM collection_schoolfetch AS item
  LEFT JOIN collection_school AS school ON school.id = item.school_id
 WHERE item.run_id = %(run)s AND item.finished_at > %(since)s AND item.finished_at <= %(now)s
 GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """Schools a minute of late, and what is left; both None while too little was seen."""

    per_minute: float | None = None
    estimate: Estimate | None = None


def read_pace(run: Run, breakdown: Breakdown, *, now: datetime) -> Pace:
    """`now` is the database's. Of a run that is not running there is nothing to tell."""
    if run.state != RunState.RUNNING:
        return Pace()
    look_back = look_back_seconds((now - run.created_at).total_seconds())
    width = look_back / _SLICES
    weights = _requests_for_one(run, breakdown)
    usual = sum(weights.values()) / len(weights) if weights else 1.0
    work, schools = [0.0] * _SLICES, 0
    for age, level, count in _done_lately(run, now, look_back, width):
        work[_SLICES - 1 - age] += count * weights.get(level or "", usual)
        schools += count
    return Pace(
        per_minute=60 * schools / look_back if schools else None,
        estimate=time_left(
            work,
            slice_seconds=width,
            left=_what_is_left(breakdown, weights, usual, now),
            retrying=_retrying(breakdown.whole),
        ),
    )


def _done_lately(
    run: Run, now: datetime, look_back: float, width: float
) -> list[tuple[int, str | None, int]]:
    parameters: dict[str, Any] = {
        "run": run.pk,
        "now": now,
        "since": now - timedelta(seconds=look_back),
        "width": width,
        "last": _SLICES - 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DONE_LATELY, parameters)
        return list(cursor.fetchall())


def _requests_for_one(run: Run, breakdown: Breakdown) -> dict[str, float]:
    """Requests that a school of each level takes: in this run, else in the one before it."""
    before = (
        Run.objects.filter(job=run.job_id, dataset=run.dataset, pk__lt=run.pk)
        .filter(state__in=[RunState.COMPLETED, RunState.INCOMPLETE])
        .exclude(trigger=Trigger.RETRY)
        .order_by("-pk")
        .values("pk")[:1]
    )
    rows = (
        SchoolFetch.objects.filter(run__in=before, requests__gt=0)
        .order_by()
        .values_list("school__level")
        .annotate(schools=Count("id"), requests=Sum("requests"))
    )
    weights = {level: requests / schools for level, schools, requests in rows}
    for level, tally in breakdown.by_level.items():
        if tally.done >= _ENOUGH_SCHOOLS and tally.requests:
            weights[level] = tally.requests / tally.done
    return weights


def _what_is_left(
    breakdown: Breakdown, weights: dict[str, float], usual: float, now: datetime
) -> Left:
    open_by_level = {level: tally.open for level, tally in breakdown.by_level.items() if tally.open}
    retry_at = breakdown.last_retry_at
    return Left(
        work=sum(count * weights.get(level, usual) for level, count in open_by_level.items()),
        schools=breakdown.whole.open,
        last_retry_seconds=max((retry_at - now).total_seconds(), 0.0) if retry_at else 0.0,
        work_is_known=weights.keys() >= open_by_level.keys(),
    )


def _retrying(tally: Tally) -> Retrying:
    rule = RetryRule(settings.FETCH_MAX_FAILURES, settings.FETCH_RETRY_SECONDS)
    tried = tally.retries + tally.done
    return Retrying(
        failing=tally.retries / tried if tried else 0.0,
        waits=[backoff_seconds(number, rule, 0.5) for number in range(rule.most_failures - 1)],
    )
