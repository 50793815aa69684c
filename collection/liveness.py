"""Whether collecting gets on. A worker that answers a ping may stand still: only progress counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from collection import breaker, stopping
from collection.models import PumpState

_STROKE = """
INSERT INTO collection_pumpstate AS pump (id, pumped_at, idle_at, queued, trouble)
VALUES (1, now(), now(), %(queued)s, '')
    ON CONFLICT (id) DO UPDATE
   SET pumped_at = now(), idle_at = CASE WHEN %(idle)s THEN now() ELSE pump.idle_at END,
       queued = COALESCE(excluded.queued, pump.queued),
       trouble = '', trouble_since = NULL
"""

_TROUBLE = """
INSERT INTO collection_pumpstate AS pump (id, pumped_at, trouble, trouble_since)
VALUES (1, now(), %(trouble)s, now())
    ON CONFLICT (id) DO UPDATE
   SET pumped_at = now(), trouble = excluded.trouble,
       trouble_since = COALESCE(pump.trouble_since, now())
"""

# Work that is due, and the last time that anything moved or nothing could.
_MOVED = """
SELECT GREATEST(
           (SELECT idle_at FROM collection_pumpstate WHERE id = 1),
           (SELECT finished_at FROM collection_attempt ORDER BY id DESC LIMIT 1),
           (SELECT max(claimed_at) FROM collection_schoolfetch WHERE state = 'running'),
           min(run.created_at)),
       now()
  FROM collection_run AS run
 WHERE run.state = 'running' AND EXISTS (
       SELECT 1 FROM collection_schoolfetch AS item
        WHERE item.run_id = run.id AND item.state = 'waiting'
          AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now()))
"""


@dataclass(frozen=True, slots=True)
class Pump:
    """`queued` are the messages that waited for a worker at the last stroke that looked."""

    pumped_at: datetime | None
    queued: int | None
    trouble: str
    trouble_since: datetime | None


def stalled_since() -> datetime | None:
    """Since when work is due and may be done, and no fetch has been claimed or ended.

    None as long as it is less than two leases. What to do: see whether workers and the scheduler
    run, and start the workers again.
    """
    if stopping.stopped_since() or not breaker.lets_begin():
        return None
    with connection.cursor() as cursor:
        cursor.execute(_MOVED)
        moved, now = cursor.fetchone()
    if moved is None or now - moved < timedelta(seconds=2 * settings.FETCH_LEASE_SECONDS):
        return None
    since: datetime = moved
    return since


def pump() -> Pump:
    state = PumpState.objects.filter(pk=1).first() or PumpState()
    return Pump(state.pumped_at, state.queued, state.trouble, state.trouble_since)


def note_stroke(*, idle: bool, queued: int | None) -> None:
    """By the pump. `idle`: nothing was due, or nothing may begin."""
    with connection.cursor() as cursor:
        cursor.execute(_STROKE, {"idle": idle, "queued": 0 if idle else queued})


def note_trouble(error: Exception) -> None:
    """By the pump, about the broker. Only the kind of error: its text may hold an address."""
    kinds = [type(each).__name__ for each in (error, error.__cause__) if each is not None]
    with connection.cursor() as cursor:
        cursor.execute(_TROUBLE, {"trouble": ": ".join(kinds)[:100]})
