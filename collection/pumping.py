"""Moves what PostgreSQL knows to be due into the broker, and puts right what got stuck.

Safe to run anywhere, any number of times: one pump works, the others return at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from collection import breaker, claiming, due, guarding, liveness, runs, stopping
from collection.clock import database_now
from collection.models import Heartbeat

_LOCK_KEY = 7_305_003
# While messages still wait in the broker an overdue one is most likely among them.
_PATIENCE_WITH_FULL_QUEUE = 10

# A message from before a standstill was turned away by the claim: it does not come back.
_OVERDUE = """
(GREATEST(item.published_at, item.next_attempt_at) < now() - make_interval(secs => %(patience)s)
 OR item.published_at <= %(standstill_ended)s::timestamptz)
"""

_FREE = f"""
SELECT %(window)s - count(*)
  FROM collection_schoolfetch AS item
  JOIN collection_run AS run ON run.id = item.run_id AND run.state = 'running'
 WHERE item.state = 'waiting' AND item.published_at IS NOT NULL
   AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now())
   AND NOT COALESCE({_OVERDUE}, false)
"""

# A run with a limit of its own has as much room as is left of it by what is published or running.
# In a CTE: as a subquery in FROM it may be run once for each row of the join, limit and all.
_PUBLISH = f"""
WITH room AS MATERIALIZED (
    SELECT run.id, run.priority, run.most_at_once - (
        SELECT count(*) FROM collection_schoolfetch AS item
         WHERE item.run_id = run.id AND run.most_at_once IS NOT NULL
           AND (item.state = 'running'
                OR item.state = 'waiting' AND item.published_at IS NOT NULL
                   AND NOT COALESCE({_OVERDUE}, false))
    ) AS left_over
      FROM collection_run AS run WHERE run.state = 'running'
), due AS MATERIALIZED (
    SELECT chosen.id, chosen.kind
      FROM room
      JOIN LATERAL (
        SELECT item.id, COALESCE(school.level, 'list') AS kind
          FROM collection_schoolfetch AS item
          LEFT JOIN collection_school AS school ON school.id = item.school_id
         WHERE item.run_id = room.id AND item.state = 'waiting'
           AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now())
           AND (item.published_at IS NULL OR {_OVERDUE})
         ORDER BY item.id
         LIMIT GREATEST(0, LEAST(%(free)s, room.left_over))
           FOR UPDATE OF item SKIP LOCKED
      ) AS chosen ON true
     ORDER BY room.priority DESC, room.id, chosen.id
     LIMIT %(free)s
)
UPDATE collection_schoolfetch AS published
   SET published_at = now()
  FROM due
 WHERE published.id = due.id
RETURNING due.id, due.kind
"""

# Due by now, and of a run that is on.
_ANYTHING_DUE = """
SELECT EXISTS (
    SELECT 1 FROM collection_run AS run
      JOIN collection_schoolfetch AS item ON item.run_id = run.id AND item.state = 'waiting'
     WHERE run.state = 'running'
       AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now()))
"""

_STANDSTILL_ENDED = """
SELECT GREATEST(
    (SELECT GREATEST(since, not_before) FROM collection_upstreamstate WHERE id = 1),
    (SELECT resumed_at FROM collection_stopswitch WHERE id = 1))
"""


@dataclass(frozen=True, slots=True)
class Pumped:
    published: int = 0
    expired: int = 0
    resumed: int = 0
    finished: int = 0
    guarded: int = 0


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
    try:
        return _stroke(publish, queued)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        liveness.note_trouble(error)
        raise


def _stroke(publish: Publish, queued: Callable[[], int]) -> Pumped:
    with transaction.atomic():
        if not _alone():
            return Pumped()
        stopped = stopping.stopped_since() is not None
        # Before any fetch is locked: whoever opens the breaker locks in this order too.
        probe = None if stopped else breaker.take_probe()
        claiming.end_standing_copies(lease_seconds=settings.FETCH_LEASE_SECONDS)
        expired = claiming.expire_leases(most_failures=settings.FETCH_MAX_FAILURES)
        resumed = runs.resume_due()
        guarded = guarding.pause_losing()
        finished = runs.finish_due()
        begins = not stopped and breaker.lets_begin()
        anything_due = begins and _ask(_ANYTHING_DUE)
    # Between the transactions: a broker that is away must not undo what was put right, nor one
    # that does not answer hold a transaction open.
    waiting = queued() if anything_due else None
    with transaction.atomic():
        taken = _take_due(waiting) if waiting is not None and _alone() else []
        liveness.note_stroke(idle=waiting is None, queued=waiting)
    if probe is not None:
        taken = [probe, *taken]
    for fetch_id, kind in taken:
        publish(fetch_id, kind)
    return Pumped(len(taken), expired, resumed, finished, guarded)


def _alone() -> bool:
    return bool(_ask("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK_KEY]))


def _take_due(queued: int) -> list[tuple[int, str]]:
    patience = settings.REPUBLISH_SECONDS * (_PATIENCE_WITH_FULL_QUEUE if queued else 1)
    overdue = {"patience": patience, "standstill_ended": _ask(_STANDSTILL_ENDED)}
    free = _ask(_FREE, {"window": settings.PUBLISH_WINDOW, **overdue})
    if free <= 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISH, {"free": free, **overdue})
        return sorted(cursor.fetchall())


def _ask(statement: str, parameters: Any = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()[0]
