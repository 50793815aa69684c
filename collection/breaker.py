"""Whether NEIS is down: one row that every worker reads with its claim.

The evidence is the attempts themselves, so that no counter can drift. Before anything is cut off
a school that answered lately is asked once more (`probing`): schools that fail for ever are no
outage.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from collection.models import UPSTREAM_FAULTS, Breaker, ErrorClass, UpstreamState
from collection.tripping import Result, TripRule, down_since

# Attempts that ended earlier tell nothing of now.
_EVIDENCE_MINUTES = 30

_FAULTS = [fault.value for fault in UPSTREAM_FAULTS]
_TELLING = [*_FAULTS, ErrorClass.BAD_REQUEST.value, ErrorClass.INCOMPLETE.value]

# The newest by their key and only then what tells something: never a walk through the history.
_EVIDENCE = """
SELECT finished_at, outcome = 'failed' AND error_class = ANY(%(faults)s)
  FROM (SELECT * FROM collection_attempt ORDER BY id DESC LIMIT 200) AS latest
 WHERE (outcome = 'succeeded'
        OR outcome = 'failed' AND error_class = ANY(%(telling)s))
   AND finished_at > now() - make_interval(mins => %(minutes)s)
   AND finished_at > COALESCE(
       (SELECT since FROM collection_upstreamstate WHERE id = 1), '-infinity')
 ORDER BY finished_at DESC
 LIMIT %(looked_at)s
"""

_SUSPECT = """
INSERT INTO collection_upstreamstate AS upstream
       (id, state, since, down_since, cool_down_seconds, probe_at, probes, reason)
VALUES (1, 'half_open', now(), %(down_since)s, 0, now() + make_interval(secs => %(wait)s), 0,
        %(reason)s)
    ON CONFLICT (id) DO UPDATE
   SET state = 'half_open', since = now(), down_since = excluded.down_since,
       cool_down_seconds = 0, probe_at = excluded.probe_at, probe_id = NULL, probes = 0,
       reason = excluded.reason
 WHERE upstream.state = 'closed'
"""

_OPEN = """
UPDATE collection_upstreamstate AS upstream
   SET state = 'open', since = now(), probe_id = NULL, cool_down_seconds = next.cool_down,
       probe_at = now() + make_interval(secs => next.cool_down)
  FROM (SELECT LEAST(GREATEST(%(first)s, cool_down_seconds * 2), %(most)s) AS cool_down
          FROM collection_upstreamstate WHERE id = 1) AS next
 WHERE state = 'half_open'
"""

_CLOSE = """
UPDATE collection_upstreamstate AS upstream
   SET state = 'closed', since = now(), down_since = NULL, probe_id = NULL, probe_at = NULL,
       reason = ''
  FROM (SELECT state, down_since, cool_down_seconds FROM collection_upstreamstate
         WHERE id = 1 FOR UPDATE) AS before
 WHERE upstream.state <> 'closed'
RETURNING before.cool_down_seconds > 0, before.down_since
"""

_TAKE_BACK = """
WITH blamed AS (
    UPDATE collection_attempt AS attempt SET outcome = 'postponed'
      FROM collection_schoolfetch AS item
      JOIN collection_run AS run ON run.id = item.run_id AND run.state IN ('running', 'paused')
     WHERE item.id = attempt.fetch_id AND attempt.outcome = 'failed'
       AND attempt.finished_at >= %(down_since)s AND attempt.error_class = ANY(%(faults)s)
    RETURNING attempt.fetch_id
), fetches AS (
    SELECT fetch_id, count(*) AS count FROM blamed GROUP BY fetch_id
)
UPDATE collection_schoolfetch AS item
   SET failures = GREATEST(item.failures - fetches.count, 0),
       state = CASE WHEN over THEN 'waiting' ELSE item.state END,
       finished_at = CASE WHEN over THEN NULL ELSE item.finished_at END,
       published_at = CASE WHEN over THEN NULL ELSE item.published_at END
  FROM fetches
  JOIN LATERAL (
    SELECT state = 'failed' AND error_class = ANY(%(faults)s) AS over
      FROM collection_schoolfetch AS failed WHERE failed.id = fetches.fetch_id
  ) AS ended ON true
 WHERE item.id = fetches.fetch_id
"""

# One in backoff will do, one that waits for its second look has to wait.
_PROBE = """
WITH chosen AS (
    SELECT item.id FROM collection_schoolfetch AS item
      JOIN collection_run AS run ON run.id = item.run_id AND run.state = 'running'
     WHERE item.state = 'waiting'
       AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now()
            OR item.error_class <> '')
     ORDER BY item.failures, item.next_attempt_at NULLS FIRST, item.id
     LIMIT 1
)
UPDATE collection_upstreamstate
   SET state = 'half_open', since = now(), probe_id = chosen.id, probes = probes + 1,
       probe_at = now() + make_interval(secs => %(lease)s)
  FROM chosen
 WHERE state <> 'closed' AND probe_at <= now() AND COALESCE(not_before <= now(), true)
"""

_MAKE_DUE = """
UPDATE collection_schoolfetch AS item SET next_attempt_at = NULL, published_at = now()
  FROM collection_upstreamstate AS upstream
 WHERE item.id = upstream.probe_id
RETURNING item.id, COALESCE(
    (SELECT level FROM collection_school AS school WHERE school.id = item.school_id), 'list')
"""

_WAS_DOWN = """
SELECT EXISTS (
    SELECT 1 FROM collection_upstreamstate AS upstream, collection_schoolfetch AS item
     WHERE item.id = %s AND (upstream.state <> 'closed' OR item.claimed_at < upstream.since))
"""

_HOLD = """
INSERT INTO collection_upstreamstate AS upstream
       (id, state, cool_down_seconds, probes, reason, not_before)
VALUES (1, 'closed', 0, 0, '', now() + make_interval(secs => %(seconds)s))
    ON CONFLICT (id) DO UPDATE
   SET not_before = GREATEST(upstream.not_before, excluded.not_before)
"""


def state() -> UpstreamState:
    """As the database has it; NEIS answers when there is no row."""
    return UpstreamState.objects.filter(pk=1).first() or UpstreamState()


def was_down_during(fetch_id: int) -> bool:
    """Whether NEIS is down, or was when the fetch's present attempt began: an answer that hung
    through the end of an outage belongs to it."""
    with connection.cursor() as cursor:
        cursor.execute(_WAS_DOWN, [fetch_id])
        return bool(cursor.fetchone()[0])


def lets_begin() -> bool:
    """Whether fetches may begin: NEIS answers, and does not ask to be left alone."""
    waits = Q(not_before__gt=Now()) | ~Q(state=Breaker.CLOSED)
    return not UpstreamState.objects.filter(waits).exists()


def suspect(fault: ErrorClass) -> bool:
    """To be asked after a fault that was counted. True for the one caller that has to find out
    whether NEIS is down, and then calls `open_` or `close`; until then nothing is claimed."""
    since = down_since(_evidence(), trip_rule())
    if since is None:
        return False
    parameters = {"down_since": since, "wait": _probe_seconds(), "reason": fault.value}
    return bool(_execute(_SUSPECT, parameters))


def trip_rule() -> TripRule:
    return TripRule(for_long=timedelta(seconds=settings.BREAKER_COOL_DOWN_SECONDS))


def open_() -> None:
    """NEIS is down: what failed since it went down is taken back, and the cool-down begins."""
    with transaction.atomic():
        opened = _execute(
            _OPEN,
            {
                "first": settings.BREAKER_COOL_DOWN_SECONDS,
                "most": settings.BREAKER_MOST_COOL_DOWN_SECONDS,
            },
        )
        if opened:
            _take_back(state().down_since)


def close() -> None:
    """NEIS answers. What failed while it was down, and had not been taken back yet, is now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLOSE)
        row = cursor.fetchone()
        if row is not None and row[0]:
            _take_back(row[1])


def take_probe() -> tuple[int, str] | None:
    """The fetch that is to find out whether NEIS answers again, when it is time, and its queue.

    One at a time. A probe that nobody reports on is followed by another.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PROBE, {"lease": _probe_seconds()})
        if not cursor.rowcount:
            return None
        cursor.execute(_MAKE_DUE)
        fetch_id, kind = cursor.fetchone()
    return fetch_id, kind


def hold(seconds: float) -> None:
    """Nobody asks NEIS for so long."""
    _execute(_HOLD, {"seconds": seconds})


def held_seconds() -> float:
    """For how long nobody may ask NEIS."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT GREATEST(0, extract(epoch FROM max(not_before) - now()))"
            " FROM collection_upstreamstate"
        )
        return float(cursor.fetchone()[0] or 0)


def _evidence() -> list[Result]:
    with connection.cursor() as cursor:
        cursor.execute(
            _EVIDENCE,
            {
                "faults": _FAULTS,
                "telling": _TELLING,
                "minutes": _EVIDENCE_MINUTES,
                "looked_at": trip_rule().looked_at,
            },
        )
        return [Result(at, fault) for at, fault in cursor.fetchall()]


def _take_back(since: datetime | None) -> None:
    faults = [*_FAULTS, ErrorClass.DEADLINE.value]
    _execute(_TAKE_BACK, {"down_since": since, "faults": faults})


def _probe_seconds() -> float:
    """How long one probe may take: it is one attempt."""
    return float(settings.FETCH_LEASE_SECONDS)


def _execute(statement: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
