"""Who works on a fetch. Every change is one UPDATE that names the state it expects.

All times are the database's own: the clocks of workers are not trusted.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection

from collection.models import Attempt, AttemptOutcome, ErrorClass, FetchState
from collection.planning import window


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a fetch: good until the lease ends or `attempt` is no longer the row's.

    `probe`: NEIS is taken to be down, and this fetch finds out whether it still is.
    """

    fetch_id: int
    attempt: int
    failures: int
    run_id: int
    school_id: int
    office_code: str
    school_code: str
    services: Sequence[str]
    mondays: Sequence[date]
    probe: bool = False


@dataclass(frozen=True, slots=True)
class ListClaim:
    """The same right for the fetch of a school list, of `offices` or of all."""

    fetch_id: int
    attempt: int
    failures: int
    run_id: int
    offices: Sequence[str]
    probe: bool = False


AnyClaim = Claim | ListClaim


class ClaimLost(Exception):
    """Another worker has the fetch by now, or it was cancelled. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that did not end well. `message` and `traceback` hold no key."""

    error_class: ErrorClass
    message: str
    code: str = ""
    traceback: str = ""
    requests: int = 0


_CLAIM = """
WITH claimed AS (
    UPDATE collection_schoolfetch AS item
       SET state = 'running', attempt = attempt + 1, claimed_at = now(), worker = %(worker)s,
           task_id = %(task_id)s, lease_until = now() + make_interval(secs => %(lease)s)
      FROM collection_run AS run
      LEFT JOIN collection_stopswitch AS switch ON switch.id = 1
      LEFT JOIN collection_upstreamstate AS upstream ON upstream.id = 1
     WHERE item.id = %(fetch_id)s AND item.state = 'waiting'
       AND switch.stopped_at IS NULL
       AND (upstream.id IS NULL OR upstream.state = 'closed' OR upstream.probe_id = item.id)
       AND (upstream.not_before IS NULL OR upstream.not_before <= now())
       AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now())
       AND run.id = item.run_id AND run.state = 'running'
    RETURNING item.attempt, item.failures, item.school_id, run.id AS run_id, run.offices,
              run.first_monday, run.weeks, COALESCE(upstream.state <> 'closed', false) AS probe
)
SELECT attempt, failures, run_id, offices, probe, school.id, school.office_id, school.code,
       school.services, first_monday, weeks
  FROM claimed LEFT JOIN collection_school AS school ON school.id = claimed.school_id
"""

_HOLD = """
SELECT 1 FROM collection_schoolfetch
 WHERE id = %(fetch_id)s AND attempt = %(attempt)s AND state = 'running' FOR UPDATE
"""

_FINISH_LIST = """
WITH finished AS (
    UPDATE collection_schoolfetch
       SET state = 'succeeded', finished_at = now(), lease_until = NULL, next_attempt_at = NULL,
           error_class = '', error_code = '', error_message = '',
           requests = requests + %(requests)s, received = %(received)s, rejected = %(rejected)s,
           stored = %(stored)s, unchanged = %(unchanged)s, removed = %(removed)s
     WHERE id = %(fetch_id)s
    RETURNING id, attempt, claimed_at, worker, task_id
)
INSERT INTO collection_attempt (fetch_id, number, outcome, started_at, finished_at, worker,
       task_id, requests, error_class, error_code, error_message, traceback)
SELECT id, attempt, 'succeeded', claimed_at, now(), worker, task_id, %(requests)s, '', '', '', ''
  FROM finished
"""

# `state` and `attempt` are the fence: a worker taken for dead that comes back changes nothing.
_END_ATTEMPT = """
WITH ended AS (
    UPDATE collection_schoolfetch
       SET state = %(state)s, failures = failures + %(counted)s, lease_until = NULL,
           published_at = CASE WHEN %(published)s THEN now() END,
           next_attempt_at = now() + make_interval(secs => %(after)s),
           finished_at = CASE WHEN %(state)s = 'failed' THEN now() END,
           requests = requests + %(requests)s, error_class = %(error_class)s,
           error_code = %(code)s, error_message = %(message)s
     WHERE id = %(fetch_id)s AND attempt = %(attempt)s AND state = 'running'
    RETURNING id, attempt, claimed_at, worker, task_id
)
INSERT INTO collection_attempt (fetch_id, number, outcome, started_at, finished_at, worker,
       task_id, requests, error_class, error_code, error_message, traceback)
SELECT id, attempt, %(outcome)s, claimed_at, now(), worker, task_id, %(requests)s,
       %(error_class)s, %(code)s, %(message)s, %(traceback)s
  FROM ended
"""

# Fetches that were lost together begin apart from the second time on: one of them may be what
# kills its worker, and would take the others along until all of them are failed.
_EXPIRE = """
WITH expired AS (
    SELECT id FROM collection_schoolfetch
     WHERE state = 'running' AND lease_until < now()
       FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE collection_schoolfetch AS item
       SET failures = failures + 1, lease_until = NULL, published_at = NULL,
           next_attempt_at = now() + failures * random() * (lease_until - claimed_at),
           error_code = '',
           error_class = CASE WHEN failures + 1 >= %(most)s AND NOT EXISTS (
               SELECT 1 FROM collection_attempt AS earlier
                WHERE earlier.fetch_id = item.id AND earlier.outcome <> 'lost'
           ) THEN 'crashed' ELSE 'lost' END,
           error_message = %(message)s,
           state = CASE WHEN failures + 1 >= %(most)s THEN 'failed' ELSE 'waiting' END,
           finished_at = CASE WHEN failures + 1 >= %(most)s THEN now() END
      FROM expired
     WHERE item.id = expired.id
    RETURNING item.id, attempt, claimed_at, worker, task_id
)
INSERT INTO collection_attempt (fetch_id, number, outcome, started_at, finished_at, worker,
       task_id, requests, error_class, error_code, error_message, traceback)
SELECT id, attempt, 'lost', claimed_at, now(), worker, task_id, 0, 'lost', '', %(message)s, ''
  FROM ended
"""

# While the server reads the rows of a COPY, none of its time-outs ends the session: a process that
# is stopped there, as in a machine that is paused, would keep its fetch locked for ever.
_END_COPIES = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND usename = current_user
   AND state = 'active' AND wait_event = 'ClientRead'
   AND query LIKE 'COPY collection_timetableentry %%'
   AND xact_start < now() - make_interval(secs => %s)
"""

_LOST = "The worker did not report back within its lease: it was killed, or cut off."


def claim(
    fetch_id: int, *, worker: str, task_id: uuid.UUID | None, lease_seconds: float
) -> AnyClaim | None:
    """None when there is nothing to do: a duplicate, an early message, a run that is not on."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "fetch_id": fetch_id,
                "worker": worker[:100],
                "task_id": task_id,
                "lease": lease_seconds,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    attempt, failures, run_id, offices, probe, school_id, *rest = row
    if school_id is None:
        return ListClaim(fetch_id, attempt, failures, run_id, offices, probe)
    office_code, school_code, services, first, weeks = rest
    return Claim(
        fetch_id=fetch_id,
        attempt=attempt,
        failures=failures,
        run_id=run_id,
        school_id=school_id,
        office_code=office_code,
        school_code=school_code,
        services=services,
        mondays=window(first, weeks),
        probe=probe,
    )


def hold(claim: ListClaim) -> None:
    """Inside a transaction: until its end nobody can take the fetch. Raises ClaimLost."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"fetch_id": claim.fetch_id, "attempt": claim.attempt})
        if cursor.fetchone() is None:
            raise ClaimLost(f"Fetch {claim.fetch_id}, attempt {claim.attempt}")


def finish_list(claim: ListClaim, *, requests: int, entries: Mapping[str, int]) -> None:
    """Ends a fetch that is held; `entries` names received, rejected, stored, unchanged, removed."""
    with connection.cursor() as cursor:
        cursor.execute(_FINISH_LIST, {"fetch_id": claim.fetch_id, "requests": requests, **entries})


def retry_later(
    claim: AnyClaim, failure: Failure, *, after_seconds: float, counts: bool, published: bool
) -> bool:
    """`published`: a message for the next attempt is on its way. False when the claim was lost."""
    return _end_attempt(
        claim,
        failure,
        state=FetchState.WAITING,
        outcome=AttemptOutcome.FAILED if counts else AttemptOutcome.POSTPONED,
        after_seconds=after_seconds,
        counts=counts,
        published=published,
    )


def fail(claim: AnyClaim, failure: Failure) -> bool:
    return _end_attempt(
        claim,
        failure,
        state=FetchState.FAILED,
        outcome=AttemptOutcome.FAILED,
        after_seconds=0,
        counts=True,
        published=False,
    )


def times_throttled(claim: AnyClaim) -> int:
    """How often NEIS, or our own limit, had no room for this fetch."""
    return Attempt.objects.filter(fetch=claim.fetch_id, error_class=ErrorClass.THROTTLED).count()


def expire_leases(*, most_failures: int) -> int:
    """Takes fetches back from workers that did not report; returns how many.

    A fetch that every worker was lost over ends as crashed: it is most likely what kills them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, {"most": most_failures, "message": _LOST})
        return int(cursor.rowcount)


def end_standing_copies(*, lease_seconds: float) -> int:
    """Ends what is older than any lease, so that the lease can be taken back; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_END_COPIES, [lease_seconds])
        return int(cursor.fetchone()[0])


def _end_attempt(
    claim: AnyClaim,
    failure: Failure,
    *,
    state: FetchState,
    outcome: AttemptOutcome,
    after_seconds: float,
    counts: bool,
    published: bool,
) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _END_ATTEMPT,
            {
                "fetch_id": claim.fetch_id,
                "attempt": claim.attempt,
                "state": state.value,
                "outcome": outcome.value,
                "after": after_seconds,
                "counted": int(counts),
                "published": published,
                "requests": failure.requests,
                "error_class": failure.error_class.value,
                "code": failure.code[:20],
                "message": failure.message,
                "traceback": failure.traceback,
            },
        )
        return bool(cursor.rowcount)
