"""One attempt at one export: claim, write, hand over, or say what went wrong."""

import logging
import time
import traceback
import uuid

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from collection import export_files, exporting, exports
from collection.exports import Claim, ClaimLost
from collection.models import ExportFailure, ExportState
from collection.neis.redaction import Redactor

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 1.0


def make(export_id: str, *, worker: str, task_id: uuid.UUID | None) -> ExportState | None:
    """The state it left behind; None when there was nothing to do, or somebody else has it."""
    claim = exports.claim(export_id, worker=worker, task_id=task_id)
    if claim is None:
        return None
    try:
        return _make(claim)
    except ClaimLost:
        logger.info("Export %s was cancelled or has another worker.", export_id)
        return None
    except (OperationalError, InterfaceError) as error:
        connection.close()
        return _give_back(claim, error)
    except OSError as error:
        exports.fail(claim, ExportFailure.FILE, error.strerror or _told(error))
        return ExportState.FAILED
    except Exception as error:
        logger.exception("Export %s", export_id)
        exports.fail(claim, ExportFailure.BUG, _told(error, trace=True))
        return ExportState.FAILED


def _make(claim: Claim) -> ExportState | None:
    export = claim.export
    export_files.discard_earlier_attempts(export)
    path = export_files.place_to_write(export.file_name)
    manifest = exporting.write_file(
        exports.selection_of(export, export.first_monday),
        exports.form_of(export),
        path,
        on_progress=Follower(claim),
    )
    try:
        # The storage may be slow, and it may be far away: the lease begins anew.
        exports.note_progress(claim, rows=manifest.file.rows, size=manifest.file.size)
        export_files.keep(path)
    finally:
        path.unlink(missing_ok=True)
    if exports.finish(claim, manifest, now=timezone.now()):
        return ExportState.READY
    export_files.storage().delete(export.file_name)
    raise ClaimLost


def _give_back(claim: Claim, error: Exception) -> ExportState | None:
    try:
        exports.give_back(claim, ExportFailure.DATABASE, _told(error))
    except (OperationalError, InterfaceError):
        # The lease runs out, and the pump takes the export back.
        connection.close()
        return None
    return ExportState.WAITING


class Follower:
    """Writes the progress down once a second, and stops the export when its claim is gone."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._next_at = time.monotonic()

    def __call__(self, rows: int, size: int) -> None:
        now = time.monotonic()
        if now >= self._next_at:
            exports.note_progress(self._claim, rows=rows, size=size)
            self._next_at = now + _PROGRESS_SECONDS


def _told(error: Exception, *, trace: bool = False) -> str:
    redact = Redactor(settings.NEIS_API_KEYS)
    told = traceback.format_exc() if trace else str(error) or type(error).__name__
    return redact(told.replace("\0", "\\0"))
