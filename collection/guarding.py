"""Pauses a run that would take away what is stored of too many schools."""

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from collection import runs
from collection.models import PauseReason, Run

# Held in this run, or emptied in it by the rule of the second answer; an operator's own decisions
# are none of the guard's business.
_LOSING = """
SELECT run.id, count(DISTINCT held.school_id)
  FROM collection_run AS run
  JOIN collection_heldweek AS held
    ON held.monday >= run.first_monday AND held.monday < run.first_monday + 7 * run.weeks
  JOIN collection_schoolfetch AS item
    ON item.run_id = run.id AND item.school_id = held.school_id
 WHERE run.state = 'running' AND run.guard_seen_at IS NULL
   AND (held.state = 'waiting' AND held.fetch_id = item.id
        OR held.state = 'accepted' AND held.decided_by_id IS NULL
           AND held.decided_at BETWEEN item.claimed_at AND COALESCE(item.finished_at, now()))
 GROUP BY run.id
HAVING count(DISTINCT held.school_id) >= %s
"""

# The schools of the run that have something to lose in its weeks.
_WITH_ROWS = """
SELECT count(DISTINCT week.school_id)
  FROM collection_run AS run
  JOIN collection_schoolweek AS week
    ON week.monday >= run.first_monday AND week.monday < run.first_monday + 7 * run.weeks
   AND week.entries > 0
  JOIN collection_schoolfetch AS item
    ON item.run_id = run.id AND item.school_id = week.school_id
 WHERE run.id = %s
"""


def pause_losing() -> int:
    """Returns how many runs were paused. One that an operator let go on is not paused again."""
    with connection.cursor() as cursor:
        cursor.execute(_LOSING, [settings.GUARD_FROM_SCHOOLS])
        losing = cursor.fetchall()
    return sum(
        _pause(run_id)
        for run_id, schools in losing
        if schools > settings.GUARD_ABOVE_SHARE * _schools_with_rows(run_id)
    )


def _schools_with_rows(run_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_WITH_ROWS, [run_id])
        return int(cursor.fetchone()[0])


def _pause(run_id: int) -> bool:
    paused = runs.pause(run_id, reason=PauseReason.GUARD)
    if paused:
        Run.objects.filter(pk=run_id).update(guarded_at=Now())
    return paused
