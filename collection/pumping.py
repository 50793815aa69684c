"""Moves what PostgreSQL knows to be due into the broker, and puts right what got stuck.

Safe to run anywhere, any number of times: one pump works, the others return at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from collection import claiming, due, runs
from collection.clock import database_now
from collection.models import Heartbeat

_LOCK_KEY = 7_305_003
# While messages still wait in the broker an overdue one is most likely among them.
_PATIENCE_WITH_FULL_QUEUE = 10

_OVERDUE = """
GREATEST(item.published_at, item.next_attempt_at) < now() - make_interval(secs => %(patience)s)
"""

_FREE = f"""
SELECT %(window)s - count(*)
  FROM collection_schoolfetch AS item
  JOIN collection_run AS run ON run.id = item.run_id AND run.state = 'running'
 WHERE item.state = 'waiting' AND item.published_at IS NOT NULL
   AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now())
   AND NOT COALESCE({_OVERDUE}, false)
"""

# In a CTE: as a subquery in FROM it may be run once for each row of the join, limit and all.
_PUBLISH = f"""
WITH due AS MATERIALIZED (
    SELECT item.id, COALESCE(school.level, 'list') AS kind
      FROM collection_schoolfetch AS item
      JOIN collection_run AS run ON run.id = item.run_id AND run.state = 'running'
      LEFT JOIN collection_school AS school ON school.id = item.school_id
     WHERE item.state = 'waiting'
       AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now())
       AND (item.published_at IS NULL OR {_OVERDUE})
     ORDER BY run.priority DESC, run.id, item.id
     LIMIT %(free)s
       FOR UPDATE OF item SKIP LOCKED
)
UPDATE collection_schoolfetch AS published
   SET published_at = now()
  FROM due
 WHERE published.id = due.id
RETURNING due.id, due.kind
"""


@dataclass(frozen=True, slots=True)
class Pumped:
    published: int = 0
    expired: int = 0
    resumed: int = 0
    finished: int = 0


Publish = Callable[[int, str], None]
"""Sends the message of a fetch to the queue of its kind: a school level, or "list"."""


def pump(*, publish: Publish, queued: Callable[[], int], heartbeat: str = "") -> Pumped:
    """One stroke. `queued` counts the messages that wait in the broker.

    `heartbeat` is noted before anything else. An error of the broker comes through; what was
    not sent is published again when it is overdue.
    """
    if heartbeat:
        Heartbeat.objects.update_or_create(name=heartbeat, defaults={"seen_at": Now()})
    due.settle(now=database_now())
    with transaction.atomic():
        if not _alone():
            return Pumped()
        expired = claiming.expire_leases(most_failures=settings.FETCH_MAX_FAILURES)
        resumed = runs.resume_due()
        finished = runs.finish_due()
        taken = _take_due(queued()) if _anything_waits() else []
    for fetch_id, kind in taken:
        publish(fetch_id, kind)
    return Pumped(len(taken), expired, resumed, finished)


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK_KEY])
        return bool(cursor.fetchone()[0])


def _anything_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM collection_schoolfetch AS item"
            " JOIN collection_run AS run ON run.id = item.run_id"
            " WHERE run.state = 'running' AND item.state = 'waiting')"
        )
        return bool(cursor.fetchone()[0])


def _take_due(queued: int) -> list[tuple[int, str]]:
    patience = settings.REPUBLISH_SECONDS * (_PATIENCE_WITH_FULL_QUEUE if queued else 1)
    with connection.cursor() as cursor:
        cursor.execute(_FREE, {"window": settings.PUBLISH_WINDOW, "patience": patience})
        free = cursor.fetchone()[0]
        if free <= 0:
            return []
        cursor.execute(_PUBLISH, {"free": free, "patience": patience})
        return sorted(cursor.fetchall())
