"""Exports through real workers: made, followed, cancelled, and made again when a worker is killed."""

import hashlib
import os
import signal
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from collection import exports
from collection.exporting.selection import expected_rows
from collection.models import Export, ExportState
from tests.collection.exporting.stored import note_week, store
from tests.collection.ledger import make_school
from tests.collection.rows import MONDAY
from tests.e2e import stack as stacks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

NOWHERE = "http://127.0.0.1:9/hub"
_MANY = """
INSERT INTO collection_timetableentry (school_id, date, position, academic_year, semester, grade,
       period, class_name, subject)
SELECT %s, %s::date + number %% 5, number, 2026, 1, 1, 1, '1', md5(number::text)
  FROM generate_series(1, %s) AS number
"""


def _store_many(rows: int) -> None:
    school = make_school()
    store(school, ("국어",))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM collection_schoolweek")
        cursor.execute(_MANY, [school.pk, MONDAY, rows])
    note_week(school, entries=rows + 1)


def _asked() -> Export:
    return exports.ask(
        Export(first_monday=MONDAY, audience="machines"), asked_by=None, now=timezone.now()
    )


def _state(export: Export) -> str:
    export.refresh_from_db()
    return export.state


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_export_is_made_again_when_its_worker_is_killed(tmp_path: Path) -> None:
    rows = 400_000
    _store_many(rows)
    files = tmp_path / "exports"
    with stacks.running(
        tmp_path, NOWHERE, EXPORTS_DIRECTORY=str(files), EXPORT_LEASE_SECONDS="5"
    ) as stack:
        stack.begin("pump", "--forever")
        victim = stack.start_worker("victim", threads=2)
        export = _asked()
        stacks.wait_until(lambda: _state(export) == ExportState.RUNNING and export.rows > 0)
        victim.send_signal(signal.SIGSTOP)
        assert _state(export) == ExportState.RUNNING, "It was over before it could be stopped."
        os.kill(victim.pid, signal.SIGKILL)
        assert len(_files(files)) == 1
        stack.start_worker("heir", threads=2)
        stacks.wait_until(lambda: _state(export) != ExportState.RUNNING, seconds=60)
        stacks.wait_until(lambda: _state(export) == ExportState.READY, seconds=120)

        assert export.attempt == 2
        assert (
            export.rows
            == rows + 1
            == expected_rows(exports.selection_of(export, export.first_monday))
        )
        (kept,) = _files(files / "ready")
        assert kept.name == export.file_name
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == export.sha256
        assert exports.delete(export.pk)
        stack.manage("shell", "-c", "from collection.tasks import expire_exports as e; e()")
        stacks.wait_until(lambda: _files(files) == [])


def test_cancelling_stops_a_worker_within_seconds(tmp_path: Path) -> None:
    _store_many(600_000)
    files = tmp_path / "exports"
    with stacks.running(tmp_path, NOWHERE, EXPORTS_DIRECTORY=str(files)) as stack:
        stack.start_worker(threads=2)
        export = _asked()
        stack.manage("pump")
        stacks.wait_until(lambda: _state(export) == ExportState.RUNNING and export.rows > 0)
        assert exports.cancel(export.pk), "It was over before it could be cancelled."
        stacks.wait_until(lambda: _files(files) == [], seconds=5)
        assert _state(export) == ExportState.CANCELLED
