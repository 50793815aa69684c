"""The life of an export: claims, fences, cancelling, files that are over."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from collection import export_files, export_making, exporting, exports
from collection.models import Export, ExportFailure, ExportState
from tests.collection.exporting.stored import HARD_SUBJECTS, some_schools
from tests.collection.ledger import at_once
from tests.collection.rows import MONDAY

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EXPORTS_DIRECTORY = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "ready"},
        },
    }
    return tmp_path


def asked(**columns: Any) -> Export:
    return exports.ask(Export(first_monday=MONDAY, **columns), asked_by=None, now=timezone.now())


def made(export: Export) -> Export:
    export_making.make(str(export.pk), worker="w", task_id=None)
    export.refresh_from_db()
    return export


def taken(export: Export) -> exports.Claim:
    claim = exports.claim(str(export.pk), worker="w", task_id=None)
    assert claim is not None
    return claim


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_an_export_is_made_and_its_row_tells_of_the_very_file(folder: Path) -> None:
    some_schools()
    export = made(asked(file_format="zip"))
    assert (export.state, export.rows) == (ExportState.READY, 2 * len(HARD_SUBJECTS))
    assert export.planned_rows == export.rows
    assert files(folder) == [export.file_name]
    with export_files.opened(export) as file:
        assert len(file.read()) == export.size
    assert export.manifest["file"]["sha256"] == export.sha256
    assert export.expires_at
    assert export.expires_at > timezone.now() + timedelta(days=13)


def test_one_of_many_workers_claims(folder: Path) -> None:
    export = asked()
    claims = at_once(lambda _: exports.claim(str(export.pk), worker="w", task_id=None), times=6)
    assert sum(claim is not None for claim in claims) == 1


def test_only_as_many_are_published_as_may_be_made_at_once(settings: Any) -> None:
    settings.EXPORTS_AT_ONCE = 2
    first, second, third = asked(), asked(), asked()
    assert exports.take_due(queued=lambda: 0) == [str(first.pk), str(second.pk)]
    assert exports.take_due(queued=lambda: 0) == []
    claim = taken(first)
    assert exports.take_due(queued=lambda: 0) == []
    exports.fail(claim, ExportFailure.FILE, "")
    assert exports.take_due(queued=lambda: 0) == [str(third.pk)]


def test_a_lost_message_is_published_again() -> None:
    export = asked()
    exports.take_due(queued=lambda: 0)
    Export.objects.update(published_at=timezone.now() - timedelta(seconds=60))
    assert exports.take_due(queued=lambda: 1) == []
    assert exports.take_due(queued=lambda: 0) == [str(export.pk)]


def test_a_worker_taken_for_dead_offers_nothing(folder: Path) -> None:
    some_schools()
    export = asked()
    late = taken(export)
    Export.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert exports.give_back_expired() == 1
    with pytest.raises(exports.ClaimLost):
        exports.note_progress(late, rows=1, size=1)
    assert made(export).attempt == 2
    assert not exports.fail(late, ExportFailure.BUG, "")
    export.refresh_from_db()
    assert export.state == ExportState.READY


def test_an_export_fails_when_every_worker_is_lost() -> None:
    export = asked()
    for _ in range(exports.MOST_ATTEMPTS):
        taken(export)
        Export.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        exports.give_back_expired()
    export.refresh_from_db()
    assert (export.state, export.failure) == (ExportState.FAILED, ExportFailure.LOST)


def test_a_cancelled_export_stops_and_leaves_no_file(folder: Path) -> None:
    some_schools()
    export = asked()
    claim = taken(export)
    assert exports.cancel(export.pk)
    assert not exports.cancel(export.pk)
    with pytest.raises(exports.ClaimLost):
        exporting.write_file(
            exports.selection_of(export, MONDAY), exports.form_of(export), folder / "a.csv",
            on_progress=export_making.Follower(claim),
        )  # fmt: skip
    assert files(folder) == []


def test_one_cancelled_when_all_is_written_leaves_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_schools()
    export = asked()
    write_file = exporting.write_file

    def write_and_cancel(*arguments: Any, **options: Any) -> exporting.Manifest:
        manifest = write_file(*arguments, **options)
        assert exports.cancel(export.pk)
        return manifest

    monkeypatch.setattr(exporting, "write_file", write_and_cancel)

    assert made(export).state == ExportState.CANCELLED
    assert files(folder) == []


def test_a_full_disk_is_told_and_nothing_is_left(folder: Path) -> None:
    some_schools()
    export = asked()
    # A folder stands where the file has to go.
    (folder / "partial" / f"{export.pk}.1.csv").mkdir(parents=True)
    assert made(export).state == ExportState.FAILED
    assert (export.failure, export.error) == (ExportFailure.FILE, "Is a directory")
    assert files(folder) == []


def test_a_storage_that_is_away_is_told_and_nothing_is_left(
    folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    nobody = {"bucket_name": "exports", "endpoint_url": "http://127.0.0.1:9"}
    s3 = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": nobody}
    settings.STORAGES = {**settings.STORAGES, "exports": s3}
    some_schools()

    export = made(asked())

    assert (export.state, export.failure) == (ExportState.FAILED, ExportFailure.FILE)
    assert export.error.startswith("Could not connect to the endpoint URL")
    assert "secret" not in export.error
    assert files(folder) == []


def test_files_that_are_over_are_thrown_away(folder: Path) -> None:
    some_schools()
    expired, deleted, kept = made(asked()), made(asked()), made(asked())
    Export.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    assert exports.delete(deleted.pk)
    exports.expire_due()
    export_files.sweep()
    assert files(folder) == [kept.file_name]
    assert not exports.leave_files()


def test_what_killed_workers_left_is_thrown_away(folder: Path) -> None:
    some_schools()
    export = asked()
    taken(export)
    partial = export_files.place_to_write(f".{export.pk}.1.csv.77.part")
    partial.write_text("half")
    storages["exports"].save(f"{export.pk}.1.csv", ContentFile("whole, and never told of"))
    export_files.sweep()
    assert partial.exists()
    Export.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    exports.give_back_expired()
    made(export)
    export_files.sweep()
    assert files(folder) == [export.file_name]
    shutil.rmtree(folder / "partial")


def test_again_asks_for_the_same(folder: Path) -> None:
    some_schools()
    export = made(asked(levels=["high"], encoding="cp949", weeks=2))
    again = made(exports.again(export, asked_by=None, now=timezone.now()))
    assert again.pk != export.pk
    assert (again.levels, again.encoding, again.weeks) == (["high"], "cp949", 2)
    assert again.sha256 == export.sha256


def test_the_planned_size_goes_by_files_of_the_same_kind() -> None:
    some_schools()
    usual = asked().planned_bytes
    export = made(asked())
    assert usual == export.planned_rows * 150
    assert asked().planned_bytes == export.size
