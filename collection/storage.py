"""Puts one answer in place of what is stored, in one transaction, or changes nothing."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from psycopg.types.json import Jsonb

from collection.claiming import Claim, ClaimLost
from collection.copying import rows_as_text
from collection.deciding import Decision, HeldAnswer, HoldRule, StoredWeek, decide
from collection.models import FetchState
from collection.normalising import ENTRY_COLUMNS, Normalised, Week

# Spaces the advisory locks of this module off from all others.
_LOCK_SPACE = 7_305_002

ONE_WEEK = timedelta(weeks=1)

_FENCE = """
SELECT now() FROM collection_schoolfetch
 WHERE id = %s AND attempt = %s AND state = 'running' FOR UPDATE
"""

_STORED = """
SELECT week.monday, week.entries, week.digest, held.digest, held.held_at, held.fetch_id
  FROM collection_schoolweek AS week
  LEFT JOIN collection_heldweek AS held
    ON held.school_id = week.school_id AND held.monday = week.monday AND held.state = 'waiting'
 WHERE week.school_id = %s AND week.monday = ANY(%s)
"""

_DELETE = """
DELETE FROM collection_timetableentry
 WHERE school_id = %s AND date >= %s AND date < %s::date + 7
"""

_COPY = f"COPY collection_timetableentry (school_id, position, {', '.join(ENTRY_COLUMNS)}, loaded_on) FROM STDIN"

_CHANGED = """
INSERT INTO collection_schoolweek AS week
       (school_id, monday, entries, digest, changed_at, changed_by_id, checked_at)
SELECT %s, changed.monday, changed.entries, changed.digest, now(), %s, now()
  FROM unnest(%s::date[], %s::int[], %s::bytea[]) AS changed (monday, entries, digest)
    ON CONFLICT (school_id, monday) DO UPDATE
   SET entries = excluded.entries, digest = excluded.digest, changed_at = excluded.changed_at,
       changed_by_id = excluded.changed_by_id, checked_at = excluded.checked_at
"""

_CHECKED = """
UPDATE collection_schoolweek SET checked_at = now() WHERE school_id = %s AND monday = ANY(%s)
"""

_GUARDED = """
SELECT item.id FROM collection_schoolfetch AS item
  JOIN collection_run AS run ON run.id = item.run_id
 WHERE item.id = ANY(%s) AND run.guarded_at IS NOT NULL AND run.guard_seen_at IS NULL
"""

_SETTLE_HELD = """
UPDATE collection_heldweek SET decided_at = now(),
       state = CASE WHEN monday = ANY(%(agreed)s) THEN 'accepted' ELSE 'superseded' END,
       decided_by_id = CASE WHEN monday = ANY(%(agreed)s) THEN decided_by_id END
 WHERE id = ANY(ARRAY(
           SELECT id FROM collection_heldweek
            WHERE school_id = %(school_id)s AND monday = ANY(%(mondays)s) AND state = 'waiting'
            ORDER BY monday FOR UPDATE))
"""

_HOLD = """
INSERT INTO collection_heldweek (fetch_id, school_id, monday, state, digest, old_entries,
       new_entries, payload, held_at)
VALUES (%s, %s, %s, 'waiting', %s, %s, %s, %s, COALESCE(%s, now()))
"""

_REJECT = "INSERT INTO collection_rejectedrow (fetch_id, reason, row) VALUES (%s, %s, %s)"

_FINISH = """
WITH finished AS (
    UPDATE collection_schoolfetch
       SET state = %(state)s, lease_until = NULL, published_at = NULL,
           finished_at = CASE WHEN %(again)s::float IS NULL THEN now() END,
           next_attempt_at = now() + make_interval(secs => %(again)s),
           error_class = '', error_code = '', error_message = '',
           requests = requests + %(requests)s, received = received + %(received)s,
           duplicate = duplicate + %(duplicate)s, rejected = rejected + %(rejected)s,
           stored = stored + %(stored)s, unchanged = unchanged + %(unchanged)s,
           held = held + %(held)s, removed = removed + %(removed)s,
           nul_removed = nul_removed + %(nul_removed)s
     WHERE id = %(fetch_id)s
    RETURNING id, attempt, claimed_at, worker, task_id
)
INSERT INTO collection_attempt (fetch_id, number, outcome, started_at, finished_at, worker,
       task_id, requests, error_class, error_code, error_message, traceback)
SELECT id, attempt, 'succeeded', claimed_at, now(), worker, task_id, %(requests)s, '', '', '', ''
  FROM finished
"""

_FOUND_SERVICE = """
UPDATE collection_school SET services = array_prepend(%(service)s, array_remove(services, %(service)s))
 WHERE id = %(school_id)s AND services[1] <> %(service)s
"""


@dataclass(slots=True)
class _Changes:
    """What is to be done with the weeks of one answer."""

    replaced: dict[date, Week] = field(default_factory=dict)
    unchanged: list[date] = field(default_factory=list)
    held: dict[date, Week] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    stored: StoredWeek
    held: HeldAnswer | None
    held_by: int | None


def store(
    claim: Claim, answer: Normalised, *, service: str, requests: int, rule: HoldRule
) -> FetchState:
    """Stores an answer and ends its fetch. Raises ClaimLost when the claim is no longer good.

    `service` is the one that had the rows. Returns the state of the fetch: final, or waiting
    when it has a held week and is to be asked once more.
    """
    with transaction.atomic():
        now = _enter(claim)
        known = _read_known(claim.school_id, list(answer.weeks))
        changes = _decide(answer.weeks, known, rule, now)
        removed = _replace(claim.school_id, claim.run_id, changes.replaced, known)
        _note_checked(claim.school_id, [*changes.unchanged, *changes.held])
        _settle_held(claim.school_id, changes, known)
        _hold(claim, changes.held, known)
        _reject(claim, answer)
        state = _state_of(answer, changes, rule, second_look=_held_by(claim, known))
        again = rule.ask_again_after if state is FetchState.WAITING else None
        _finish(claim, answer, changes, state, removed=removed, requests=requests, again=again)
        if answer.received and claim.services[0] != service:
            _execute(_FOUND_SERVICE, {"service": service, "school_id": claim.school_id})
    return state


def _enter(claim: Claim) -> datetime:
    """Locks the school, then passes the fence; returns the database's time."""
    lock_school(claim.school_id)
    with connection.cursor() as cursor:
        cursor.execute(_FENCE, [claim.fetch_id, claim.attempt])
        row = cursor.fetchone()
    if row is None:
        raise ClaimLost(f"Fetch {claim.fetch_id}, attempt {claim.attempt}")
    now: datetime = row[0]
    return now


def lock_school(school_id: int) -> None:
    """Until the end of the transaction nobody else changes what is stored of the school."""
    _execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, school_id])


def try_lock_school(school_id: int) -> bool:
    """The same without waiting: False when somebody else has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, school_id])
        return bool(cursor.fetchone()[0])


def replace_week(school_id: int, monday: date, week: Week, *, run_id: int) -> int:
    """Puts a week in place of the stored one, whatever that is. The school has to be locked.

    Returns how many stored entries went.
    """
    return _replace(school_id, run_id, {monday: week}, _read_known(school_id, [monday]))


def _read_known(school_id: int, mondays: list[date]) -> dict[date, _Known]:
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [school_id, mondays])
        rows = cursor.fetchall()
        guarded = _guarded(cursor, [held_by for *_, held_by in rows if held_by])
    return {
        monday: _Known(
            StoredWeek(entries, bytes(digest)),
            HeldAnswer(bytes(held_digest), held_at, held_by in guarded) if held_digest else None,
            held_by,
        )
        for monday, entries, digest, held_digest, held_at, held_by in rows
    }


def _guarded(cursor: Any, fetches: list[int]) -> set[int]:
    if not fetches:
        return set()
    cursor.execute(_GUARDED, [fetches])
    return {fetch_id for (fetch_id,) in cursor.fetchall()}


def _held_by(claim: Claim, known: Mapping[date, _Known]) -> bool:
    """Whether an earlier answer of this very fetch is held."""
    return any(before.held_by == claim.fetch_id for before in known.values())


def _decide(
    weeks: Mapping[date, Week], known: Mapping[date, _Known], rule: HoldRule, now: datetime
) -> _Changes:
    changes = _Changes()
    for monday, week in weeks.items():
        before = known.get(monday)
        decision = decide(
            stored=before.stored if before else None,
            held=before.held if before else None,
            entries=len(week.entries),
            digest=week.digest,
            rule=rule,
            now=now,
        )
        match decision:
            case Decision.REPLACE:
                changes.replaced[monday] = week
            case Decision.UNCHANGED:
                changes.unchanged.append(monday)
            case Decision.HOLD:
                changes.held[monday] = week
    return changes


def _replace(
    school_id: int, run_id: int, weeks: Mapping[date, Week], known: Mapping[date, _Known]
) -> int:
    """Returns how many stored entries went."""
    if not weeks:
        return 0
    removed = 0
    with connection.cursor() as cursor:
        for monday in weeks:
            if monday in known and known[monday].stored.entries:
                cursor.execute(_DELETE, [school_id, monday, monday])
                removed += cursor.rowcount
        # COPY raises psycopg's own errors unless Django is told to translate them.
        with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
            for week in weeks.values():
                copy.write(rows_as_text(school_id, week))
        cursor.execute(
            _CHANGED,
            [
                school_id,
                run_id,
                list(weeks),
                [len(week.entries) for week in weeks.values()],
                [week.digest for week in weeks.values()],
            ],
        )
    return removed


def _note_checked(school_id: int, mondays: Sequence[date]) -> None:
    if mondays:
        _execute(_CHECKED, [school_id, mondays])


def _settle_held(school_id: int, changes: _Changes, known: Mapping[date, _Known]) -> None:
    """Every held answer is over: a second one agreed with it, or another took its place."""
    held = {monday: before.held for monday, before in known.items() if before.held}
    if not held:
        return
    agreed = [
        monday
        for monday, week in changes.replaced.items()
        if monday in held and held[monday].digest == week.digest
    ]
    parameters = {"school_id": school_id, "mondays": list(held), "agreed": agreed}
    _execute(_SETTLE_HELD, parameters)


def _hold(claim: Claim, weeks: Mapping[date, Week], known: Mapping[date, _Known]) -> None:
    """A second answer that agrees keeps the time of the first: from then on it has been said."""
    for monday, week in weeks.items():
        digest, before = week.digest, known[monday]
        since = before.held.held_at if before.held and before.held.digest == digest else None
        payload = pack(week)
        row = [claim.fetch_id, claim.school_id, monday, digest, before.stored.entries]
        _execute(_HOLD, [*row, len(week.entries), payload, since])


def pack(week: Week) -> bytes:
    return zlib.compress(orjson.dumps([week.entries, week.loaded_on]))


def unpack(payload: bytes) -> Week:
    entries, loaded_on = orjson.loads(zlib.decompress(payload))
    dated = [(date.fromisoformat(day), *others) for day, *others in entries]
    return Week(dated, [date.fromisoformat(day) if day else None for day in loaded_on])


def _reject(claim: Claim, answer: Normalised) -> None:
    if answer.rejected:
        with connection.cursor() as cursor:
            rows: list[Any] = [
                (claim.fetch_id, item.reason, Jsonb(_printable(item.row)))
                for item in answer.rejected
            ]
            cursor.executemany(_REJECT, rows)


def _printable(row: Mapping[str, str | None]) -> dict[str, str | None]:
    """jsonb holds no U+0000 either; here, where a person reads, it is shown."""
    return {name: value and value.replace("\0", "\\u0000") for name, value in row.items()}


def _state_of(
    answer: Normalised, changes: _Changes, rule: HoldRule, *, second_look: bool
) -> FetchState:
    if changes.held:
        waits = rule.ask_again_after is not None and not second_look
        return FetchState.WAITING if waits else FetchState.HELD
    return FetchState.SUCCEEDED if answer.received else FetchState.EMPTY


def _finish(
    claim: Claim,
    answer: Normalised,
    changes: _Changes,
    state: FetchState,
    *,
    removed: int,
    requests: int,
    again: timedelta | None,
) -> None:
    _execute(
        _FINISH,
        {
            "fetch_id": claim.fetch_id,
            "state": state.value,
            "again": again and again.total_seconds(),
            "requests": requests,
            "received": answer.received,
            "duplicate": answer.duplicate,
            "rejected": len(answer.rejected),
            "stored": sum(len(week.entries) for week in changes.replaced.values()),
            "unchanged": sum(len(answer.weeks[monday].entries) for monday in changes.unchanged),
            "held": sum(len(week.entries) for week in changes.held.values()),
            "removed": removed,
            "nul_removed": answer.nul_removed,
        },
    )


def _execute(statement: str, parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
