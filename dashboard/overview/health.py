"""Whether the parts are well: scheduler, workers, broker, NEIS and its keys. All from PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from collection import breaker, heartbeats, liveness, quota
from collection.heartbeats import SILENT_AFTER
from collection.models import UpstreamState

RECENT = timedelta(minutes=15)
# The newest by their key, and only then those of the last minutes: never a walk through history.
MOST_ATTEMPTS = 5000

_LATEST = """
SELECT * FROM (
    SELECT worker, outcome, started_at, finished_at, requests
      FROM collection_attempt ORDER BY id DESC LIMIT %(most)s
) AS latest WHERE finished_at > %(since)s
"""

_ANSWERS = f"""
SELECT count(*), count(*) FILTER (WHERE outcome <> 'succeeded'), COALESCE(sum(requests), 0),
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
           ORDER BY extract(epoch FROM finished_at - started_at) / NULLIF(requests, 0))
  FROM ({_LATEST}) AS recent
"""

_WORKERS = f"""
SELECT worker, max(seen_at), sum(running), sum(ended) FROM (
    SELECT worker, max(finished_at) AS seen_at, 0 AS running, count(*) AS ended
      FROM ({_LATEST}) AS recent GROUP BY worker
     UNION ALL
    SELECT worker, max(claimed_at), count(*), 0
      FROM collection_schoolfetch WHERE state = 'running' GROUP BY worker
) AS seen WHERE worker <> '' GROUP BY worker ORDER BY worker
"""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """`watched` is when a worker last did the part of a scheduler that is silent."""

    seen_at: datetime | None
    watched_at: datetime | None
    now: datetime

    @property
    def is_alive(self) -> bool:
        return self.seen_at is not None and self.now - self.seen_at <= SILENT_AFTER

    @property
    def is_replaced(self) -> bool:
        """Nothing is lost, yet a beat should be started again."""
        return (
            not self.is_alive
            and self.watched_at is not None
            and self.now - self.watched_at <= SILENT_AFTER
        )


@dataclass(frozen=True, slots=True)
class Worker:
    name: str
    seen_at: datetime
    running: int
    ended: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Attempts that ended lately, MOST_ATTEMPTS at most; `median` and `slow` (19 of 20 are
    faster) are seconds for one request, with the wait for its turn."""

    attempts: int
    unwell: int
    requests: int
    median: float | None
    slow: float | None

    @property
    def error_share(self) -> float | None:
        return self.unwell / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class Health:
    scheduler: Scheduler
    workers: Sequence[Worker]
    answers: Answers
    upstream: UpstreamState
    keys: Sequence[quota.KeyUse]
    pump: liveness.Pump
    stalled_since: datetime | None
    now: datetime

    @property
    def left_alone_until(self) -> datetime | None:
        """NEIS asked for it; no request is made before."""
        until = self.upstream.not_before
        return until if until is not None and until > self.now else None


def read_health(*, now: datetime) -> Health:
    seen = heartbeats.seen()
    return Health(
        scheduler=Scheduler(seen.get(heartbeats.SCHEDULER), seen.get(heartbeats.WATCHER), now),
        workers=[Worker(*row) for row in _query(_WORKERS, now)],
        answers=_read_answers(now),
        upstream=breaker.state(),
        keys=quota.use_of_keys(),
        pump=liveness.pump(),
        stalled_since=liveness.stalled_since(),
        now=now,
    )


def _read_answers(now: datetime) -> Answers:
    attempts, unwell, requests, seconds = _query(_ANSWERS, now)[0]
    median, slow = seconds or (None, None)
    return Answers(attempts, unwell, requests, median, slow)


def _query(statement: str, now: datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"most": MOST_ATTEMPTS, "since": now - RECENT})
        return list(cursor.fetchall())
