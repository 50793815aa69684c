"""The life of an export: asked for, claimed, followed, ended, thrown away.

Every change is one UPDATE that names the state it expects, by the database's clock.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, Sum
from django.db.models.functions import Now

from collection.exporting import Form, Manifest, Selection, collected_weeks, expected_rows
from collection.models import (
    FILELESS_EXPORT_STATES,
    OPEN_EXPORT_STATES,
    Audience,
    Dataset,
    Encoding,
    Export,
    ExportFailure,
    ExportState,
    FileFormat,
    HeaderStyle,
)
from collection.models.exports import ExportChoices
from collection.planning import window

MOST_ATTEMPTS = 3
_PATIENCE_WITH_FULL_QUEUE = 10
# While nothing like it was ever made: bytes of a row.
_USUAL_BYTES = {FileFormat.CSV: 150.0, FileFormat.GZIP: 12.0, FileFormat.ZIP: 12.0}

_TAKE_DUE = """
UPDATE collection_export AS published
   SET published_at = now()
  FROM (
    SELECT id FROM collection_export
     WHERE state = 'waiting'
       AND (published_at IS NULL OR published_at < now() - make_interval(secs => %(patience)s))
     ORDER BY asked_at
     LIMIT GREATEST(0, %(most)s - (
        SELECT count(*) FROM collection_export
         WHERE state = 'running' OR (state = 'waiting' AND published_at IS NOT NULL
               AND published_at >= now() - make_interval(secs => %(patience)s))))
       FOR UPDATE SKIP LOCKED
  ) AS due
 WHERE published.id = due.id
RETURNING due.id
"""

_CLAIM = """
UPDATE collection_export
   SET state = 'running', attempt = attempt + 1, claimed_at = now(), worker = %(worker)s,
       task_id = %(task_id)s, lease_until = now() + make_interval(secs => %(lease)s),
       rows = 0, size = 0, file_name = id || '.' || (attempt + 1) || '.' || file_format
 WHERE id = %(export_id)s AND state = 'waiting'
RETURNING attempt
"""

_PROGRESS = """
UPDATE collection_export
   SET rows = %(rows)s, size = %(size)s, lease_until = now() + make_interval(secs => %(lease)s)
 WHERE id = %(export_id)s AND attempt = %(attempt)s AND state = 'running'
"""

_GIVE_BACK = """
UPDATE collection_export
   SET state = CASE WHEN attempt >= %(most)s THEN 'failed' ELSE 'waiting' END,
       finished_at = CASE WHEN attempt >= %(most)s THEN now() END,
       published_at = NULL, lease_until = NULL, failure = %(failure)s, error = %(error)s
 WHERE state = 'running' AND
"""

_EXPIRE = """
UPDATE collection_export SET state = 'expired' WHERE state = 'ready' AND expires_at <= now()
"""


class ClaimLost(Exception):
    """Cancelled, or another worker has the export by now."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make an export: good until the lease ends or `attempt` is no longer the row's."""

    export: Export
    attempt: int


@dataclass(frozen=True, slots=True)
class Plan:
    """In school weeks, `expected` is what open schools could have and `collected` what is there."""

    rows: int
    size: int
    expected: int
    collected: int


def selection_of(choices: ExportChoices, first_monday: Any) -> Selection:
    dataset = Dataset(choices.dataset)
    return Selection(
        mondays=window(first_monday, choices.weeks) if dataset is Dataset.TIMETABLE else (),
        levels=choices.levels,
        offices=choices.offices,
        schools=choices.schools,
        dataset=dataset,
    )


def form_of(choices: ExportChoices) -> Form:
    return Form(
        Audience(choices.audience),
        Encoding(choices.encoding),
        HeaderStyle(choices.header),
        FileFormat(choices.file_format),
    )


def plan(export: Export) -> Plan:
    """What the file will be like. The size goes by the latest files of its kind."""
    selection = selection_of(export, export.first_monday)
    rows = expected_rows(selection)
    return Plan(
        rows,
        round(rows * _bytes_of_row(export)),
        expected=selection.matching_schools().filter(closed_at=None).count()
        * len(selection.mondays),
        collected=collected_weeks(selection),
    )


def _bytes_of_row(export: Export) -> float:
    like = Export.objects.filter(
        finished_at__isnull=False, rows__gt=0, size__gt=0, sha256__gt="",
        dataset=export.dataset, file_format=export.file_format, encoding=export.encoding,
    ).order_by("-asked_at")[:10]  # fmt: skip
    sums = Export.objects.filter(pk__in=like.values("pk")).aggregate(
        rows=Sum("rows"), size=Sum("size")
    )
    return (
        sums["size"] / sums["rows"]
        if sums["rows"]
        else _USUAL_BYTES[FileFormat(export.file_format)]
    )


def ask(export: Export, *, asked_by: int | None, now: datetime) -> Export:
    """Saves a new export, which the pump then sends to a worker."""
    planned = plan(export)
    export.planned_rows, export.planned_bytes = planned.rows, planned.size
    export.asked_by_id, export.asked_at = asked_by, now
    export.save(force_insert=True)
    return export


def again(export: Export, *, asked_by: int | None, now: datetime) -> Export:
    """The same once more, of what is stored by then."""
    same = Export(first_monday=export.first_monday, **choices_of(export))
    return ask(same, asked_by=asked_by, now=now)


def choices_of(row: ExportChoices) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in ExportChoices._meta.fields}


def cancel(export_id: uuid.UUID) -> bool:
    """A worker that is at it finds out within seconds and throws its part away."""
    return bool(
        Export.objects.filter(pk=export_id, state__in=OPEN_EXPORT_STATES).update(
            state=ExportState.CANCELLED, finished_at=Now(), lease_until=None
        )
    )


def delete(export_id: uuid.UUID) -> bool:
    """From now on nobody gets the file; the sweep throws it away."""
    return bool(
        Export.objects.filter(pk=export_id, state=ExportState.READY).update(
            state=ExportState.DELETED
        )
    )


def take_due(*, queued: Callable[[], int]) -> list[str]:
    """The ids to publish: never more at once than may be made at once.

    An id comes again when its message seems lost, which takes longer while messages still wait:
    `queued` counts them.
    """
    give_back_expired()
    if not Export.objects.filter(state=ExportState.WAITING).exists():
        return []
    patience = settings.REPUBLISH_SECONDS * (_PATIENCE_WITH_FULL_QUEUE if queued() else 1)
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_DUE, {"patience": patience, "most": settings.EXPORTS_AT_ONCE})
        return [str(export_id) for (export_id,) in cursor.fetchall()]


def claim(export_id: str, *, worker: str, task_id: uuid.UUID | None) -> Claim | None:
    """None when there is nothing to do: a duplicate, or cancelled meanwhile."""
    parameters: dict[str, Any] = {"export_id": export_id, "worker": worker[:100], "task_id": task_id,
                  "lease": settings.EXPORT_LEASE_SECONDS}  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        row = cursor.fetchone()
    return Claim(Export.objects.get(pk=export_id), row[0]) if row else None


def note_progress(claim: Claim, *, rows: int, size: int) -> None:
    """Renews the lease too. Raises ClaimLost."""
    parameters: dict[str, Any] = {"rows": rows, "size": size, "lease": settings.EXPORT_LEASE_SECONDS,
                  "export_id": claim.export.pk, "attempt": claim.attempt}  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_PROGRESS, parameters)
        if not cursor.rowcount:
            raise ClaimLost


def finish(claim: Claim, manifest: Manifest, *, now: datetime) -> bool:
    """False when the claim was lost: then the file is nobody's."""
    return bool(
        _claimed(claim).update(
            state=ExportState.READY,
            rows=manifest.file.rows,
            size=manifest.file.size,
            sha256=manifest.file.sha256,
            manifest=manifest.as_json(),
            finished_at=now,
            expires_at=now + settings.EXPORTS_KEPT_FOR,
            lease_until=None,
            failure="",
            error="",
        )
    )


def fail(claim: Claim, failure: ExportFailure, error: str) -> bool:
    return bool(
        _claimed(claim).update(
            state=ExportState.FAILED,
            failure=failure,
            error=error,
            finished_at=Now(),
            lease_until=None,
        )
    )


def give_back(claim: Claim, failure: ExportFailure, error: str) -> None:
    """To be made again, as long as attempts are left."""
    _give_back(
        "id = %(export_id)s AND attempt = %(attempt)s",
        failure,
        error,
        export_id=claim.export.pk,
        attempt=claim.attempt,
    )


def give_back_expired() -> int:
    """Takes exports back from workers that did not report; returns how many."""
    return _give_back("lease_until < now()", ExportFailure.LOST, "")


def expire_due() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE)
        return int(cursor.rowcount)


def leave_files() -> bool:
    """Whether files lie about that nobody may have any more."""
    return Export.objects.filter(~Q(file_name=""), state__in=FILELESS_EXPORT_STATES).exists()


def _claimed(claim: Claim) -> Any:
    return Export.objects.filter(
        pk=claim.export.pk, attempt=claim.attempt, state=ExportState.RUNNING
    )


def _give_back(condition: str, failure: ExportFailure, error: str, **parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _GIVE_BACK + condition,
            {"most": MOST_ATTEMPTS, "failure": failure.value, "error": error, **parameters},
        )
        return int(cursor.rowcount)
