"""The pages of exports: who may, what they ask for, and what they get."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import DjangoAssertNumQueries

from collection import export_files, exports
from collection.models import Export, ExportSchedule, ExportState
from tests.collection.exporting.stored import some_schools
from tests.collection.ledger import make_school
from tests.collection.rows import MONDAY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.LANGUAGE_CODE = "en"
    settings.EXPORTS_DIRECTORY = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "ready"},
        },
    }
    return tmp_path


def _logged_in(*codenames: str) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def exporter() -> Client:
    return _logged_in("export_data")


@pytest.fixture
def viewer() -> Client:
    return _logged_in("view_export", "view_run", "view_timetableentry", "view_school")


BODY = "\ufeff교육청코드\r\n".encode()


def _ready() -> Export:
    """As a worker leaves it."""
    export = exports.ask(Export(first_monday=MONDAY, weeks=3), asked_by=None, now=timezone.now())
    path = export_files.place_to_write(f"{export.pk}.1.csv")
    path.write_bytes(BODY)
    export_files.keep(path)
    Export.objects.update(
        state=ExportState.READY, file_name=path.name, size=len(BODY), rows=1, sha256="0" * 64,
        manifest={"rows": 1}, expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    return Export.objects.get()


WANTED = {"dataset": "timetable", "first_monday": "2026-06-10", "weeks": "2",
          "audience": "people", "file_format": "zip"}  # fmt: skip


def test_asking_makes_a_row_for_the_pump_and_is_written_down(exporter: Client) -> None:
    make_school("7010118")
    page = exporter.get("/admin/exports/new/")
    assert page.status_code == 200
    answer = exporter.post(
        "/admin/exports/new/",
        {**WANTED, "levels": ["high"], "offices": ["B10"], "schools": "학교 7010118"},
    )
    assert answer.status_code == 302, answer.content.decode()
    export = Export.objects.get()
    assert (export.first_monday, export.weeks, export.state) == (MONDAY, 2, ExportState.WAITING)
    assert (export.levels, export.offices, export.schools) == (["high"], ["B10"], ["7010118"])
    assert (export.encoding, export.header) == ("utf-8-sig", "korean")
    assert LogEntry.objects.get().object_id == str(export.pk)
    assert "Waiting" in exporter.get("/admin/exports/").content.decode()


def test_machines_get_what_fits_them_unless_told_otherwise(exporter: Client) -> None:
    make_school()
    exporter.post("/admin/exports/new/", {**WANTED, "audience": "machines"})
    exporter.post("/admin/exports/new/", {**WANTED, "audience": "machines", "encoding": "cp949"})
    latest, first = Export.objects.all()
    assert (first.encoding, first.header) == ("utf-8", "machine")
    assert (latest.encoding, latest.header) == ("cp949", "machine")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schools": "없는학교"}, "There is no school “없는학교”."),
        ({"schools": "중앙초등학교"}, "7000001"),
        ({"first_monday": ""}, "Timetables are exported by weeks."),
        ({"weeks": "54"}, "53"),
        ({"offices": ["X99"]}, "X99"),
    ],
)
def test_what_can_not_be_exported_is_refused_with_a_reason(
    exporter: Client, change: dict[str, Any], told: str
) -> None:
    for code, office in (("7000001", "B10"), ("7000002", "J10")):
        school = make_school(code, office=office)
        school.name = "중앙초등학교"
        school.save()
    for address in ("/admin/exports/new/", "/admin/exports/plan/"):
        answer = exporter.post(address, {**WANTED, **change})
        assert answer.status_code == 200
        assert told in answer.content.decode()
    assert not Export.objects.exists()


def test_the_plan_tells_rows_and_coverage(exporter: Client) -> None:
    some_schools()
    told = exporter.post("/admin/exports/plan/", WANTED).content.decode()
    assert "52 rows" in told
    assert "2 of 4 school weeks" in told


def test_the_file_is_what_the_row_says_and_the_download_is_written_down(exporter: Client) -> None:
    export = _ready()
    answer = exporter.get(reverse("dashboard:export-file", args=[export.pk]))
    body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert body == BODY
    assert int(answer["Content-Length"]) == export.size
    assert answer["X-Content-Type-Options"] == "nosniff"
    disposition = answer["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert "2026-06-08_2026-06-22" in unquote(disposition)
    assert "no-store" in answer["Cache-Control"]
    assert LogEntry.objects.get().change_message == "File downloaded"
    manifest = exporter.get(reverse("dashboard:export-manifest", args=[export.pk]))
    assert b"".join(manifest.streaming_content) == b'{\n "rows": 1\n}'  # type: ignore[attr-defined]


def test_a_korean_name_is_sent_as_rfc_5987_has_it(exporter: Client) -> None:
    address = reverse("dashboard:export-file", args=[_ready().pk])
    answer = exporter.get(address)
    answer.close()
    assert "filename*=utf-8''%EC%8B%9C%EA%B0%84%ED%91%9C" in answer["Content-Disposition"]


@pytest.mark.parametrize("state", [s for s in ExportState if s != ExportState.READY])
def test_nothing_is_sent_of_an_export_that_is_not_ready(exporter: Client, state: str) -> None:
    export = _ready()
    Export.objects.update(state=state)
    for name in ("file", "manifest"):
        address = reverse(f"dashboard:export-{name}", args=[export.pk])
        assert exporter.get(address).status_code == 404


def test_nothing_is_sent_when_its_time_is_over_or_the_file_is_gone(
    exporter: Client, folder: Path
) -> None:
    export = _ready()
    address = reverse("dashboard:export-file", args=[export.pk])
    (folder / "ready" / export.file_name).unlink()
    assert exporter.get(address).status_code == 404
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert exporter.get(address).status_code == 404


def test_who_may_only_view_gets_nowhere(viewer: Client) -> None:
    export = _ready()
    one = [reverse(f"dashboard:export-{name}", args=[export.pk])
           for name in ("file", "manifest", "cancel", "again", "delete")]  # fmt: skip
    for address in (*one, "/admin/exports/", "/admin/exports/new/", "/admin/exports/rows/"):
        assert viewer.get(address).status_code in (403, 405)
    for address in (*one[2:], "/admin/exports/new/", "/admin/exports/plan/"):
        assert viewer.post(address, WANTED).status_code == 403
    assert [export.state for export in Export.objects.all()] == [ExportState.READY]
    assert "/admin/exports/" not in viewer.get("/admin/").content.decode()


def test_a_link_leads_nobody_past_the_login() -> None:
    export = _ready()
    answer = Client().get(reverse("dashboard:export-file", args=[export.pk]))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


@pytest.mark.parametrize(
    "name", ["..%2f..%2fsecret_key", "1", "00000000-0000-0000-0000-000000000000", "%2e%2e"]
)
def test_no_path_can_be_guessed_or_climbed(exporter: Client, name: str) -> None:
    assert exporter.get(f"/admin/exports/{name}/file/").status_code == 404


def test_cancel_again_and_delete(exporter: Client) -> None:
    ready = _ready()
    for name in ("again", "delete", "delete"):
        exporter.post(reverse(f"dashboard:export-{name}", args=[ready.pk]))
    waiting = Export.objects.get(state=ExportState.WAITING)
    exporter.post(reverse("dashboard:export-cancel", args=[waiting.pk]))
    states = dict(Export.objects.values_list("pk", "state"))
    assert states == {ready.pk: ExportState.DELETED, waiting.pk: ExportState.CANCELLED}
    assert LogEntry.objects.count() == 3


def test_the_list_asks_the_same_number_of_queries_however_long_it_is(
    exporter: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_school()
    user = User.objects.get()
    for _ in range(3):
        exports.ask(Export(first_monday=MONDAY), asked_by=user.pk, now=timezone.now())
    Export.objects.update(state="running", claimed_at=timezone.now(), rows=5, planned_rows=9)
    # Session, user, permissions of user and groups, count, page.
    with django_assert_num_queries(6):
        told = exporter.get("/admin/exports/rows/").content.decode()
    assert "5 / 9" in told


def test_a_weekly_export_is_set_up_changed_and_deleted(exporter: Client, viewer: Client) -> None:
    make_school()
    wanted = {**WANTED, "name": "매주", "window_offset": "-1", "weekday": "1", "at": "07:30",
              "enabled": "on"}  # fmt: skip
    assert viewer.post("/admin/exports/schedules/new/", wanted).status_code == 403
    assert exporter.get("/admin/exports/schedules/new/").status_code == 200
    exporter.post("/admin/exports/schedules/new/", wanted)
    assert "Every Monday at 07:30" in exporter.get("/admin/exports/").content.decode()
    address = reverse("dashboard:export-schedule", args=[ExportSchedule.objects.get().pk])
    assert 'value="07:30"' in exporter.get(address).content.decode()
    exporter.post(address, {**wanted, "weekday": "5", "schools": "7010118"})
    assert ExportSchedule.objects.get().schools == ["7010118"]
    assert "Every Friday at 07:30" in exporter.get("/admin/exports/").content.decode()
    exporter.post(f"{address}delete/")
    assert not ExportSchedule.objects.exists()
    assert not PeriodicTask.objects.filter(name__startswith="collection.export.").exists()
