"""What goes through django-import-export: out as it is stored, in as a whole or not at all."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule
from pytest_django import DjangoAssertNumQueries

from collection import switching
from collection.models import Job, Level, Office, School
from collection.resources import FailureResource, JobResource, RunResource, SchoolResource
from collection.resources.formats import MachineCSV, PeopleCSV
from tests.collection.ledger import make_fetch, make_run, make_school

pytestmark = pytest.mark.django_db


def _out(resource: Any, queryset: Any, form: type[MachineCSV] = MachineCSV) -> bytes:
    return b"".join(form().stream(resource.header(), resource.texts(queryset)))


def _into(resource: Any, text: bytes, *, dry_run: bool = False) -> Any:
    return resource.import_data(MachineCSV().create_dataset(text), dry_run=dry_run)


def _jobs() -> bytes:
    return _out(JobResource(), Job.objects.order_by("name"))


@pytest.fixture
def schedules() -> None:
    Job.objects.all().delete()
    for code in ("B10", "J10"):
        Office.objects.get_or_create(code=code, defaults={"name": code})
    weekly = Job.objects.create(name="매주, 월요일", levels=["high", "special"], most_at_once=7)
    weekly.offices.set(["J10", "B10"])
    switching.set_schedule(
        weekly, CrontabSchedule(minute="0", hour="4", day_of_week="1"), enabled=True,
        now=timezone.now(),
    )  # fmt: skip
    often = Job.objects.create(name="=자주", dataset="school_list", window_offset=-2)
    switching.set_schedule(
        often, IntervalSchedule(every=2, period="hours"), enabled=False, now=timezone.now()
    )
    Job.objects.create(name="수동", alert=False)


@pytest.mark.parametrize("form", [MachineCSV, PeopleCSV])
def test_jobs_come_back_with_their_schedules_when_all_were_deleted(
    schedules: None, form: type[MachineCSV]
) -> None:
    before = _jobs()
    file = _out(JobResource(), Job.objects.all(), form)
    Job.objects.all().delete()
    result = _into(JobResource(), file)
    assert not result.has_validation_errors()
    assert result.totals["new"] == 3
    assert _jobs() == before
    assert b'"' in before
    weekly = Job.objects.get(name="매주, 월요일")
    assert weekly.is_enabled
    assert weekly.periodic_task is not None
    assert weekly.periodic_task.kwargs == f'{{"job": {weekly.pk}}}'


def test_only_what_was_edited_changes(schedules: None) -> None:
    untouched = Job.objects.get(name="수동")
    edited = _jobs().replace(b"0 4 * * 1", b"30 5 * * 2").replace(b"every 2 hours", b"")
    shown = _into(JobResource(), edited, dry_run=True)
    assert shown.totals == {**shown.totals, "update": 2, "skip": 1, "new": 0}
    assert b"0 4 * * 1" in _jobs()
    _into(JobResource(), edited)
    assert _jobs() == edited.replace(b",Asia/Seoul,false", b",Asia/Seoul,false")
    assert Job.objects.get(name="=자주").periodic_task is None
    assert Job.objects.get(pk=untouched.pk).name == "수동"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((b"0 4 * * 1", b"0 25 * * 1"), "crontab"),
        ((b"B10 J10", b"B10 X99"), "X99"),
        ((b"high special", b"high school"), "school"),
        ((b"Asia/Seoul", b"Asia/Nowhere"), "Asia/Nowhere"),
        ((b",true,2,", b",maybe,2,"), "true or false"),
        ((b",24,", b",999,"), "168"),
    ],
)
def test_one_wrong_line_takes_back_all_and_is_named(
    schedules: None, wrong: tuple[bytes, bytes], told: str
) -> None:
    before = _jobs()
    edited = before.replace("수동".encode(), "새 작업".encode()).replace(*wrong)
    assert edited.count(wrong[1]) > before.count(wrong[1])
    result = _into(JobResource(), edited)
    assert result.has_validation_errors()
    assert told in str([(row.number, row.error) for row in result.invalid_rows])
    assert _jobs() == before


def test_a_school_is_corrected_and_noted_as_such() -> None:
    make_school(services=["hisTimetable"], level=Level.HIGH)
    file = _out(SchoolResource(), School.objects.all())
    result = _into(SchoolResource(), file.replace(b"hisTimetable", b"spsTimetable misTimetable"))
    assert not result.has_errors()
    school = School.objects.get()
    assert (school.services, school.is_corrected) == (["spsTimetable", "misTimetable"], True)
    assert result.totals["update"] == 1
    assert _into(SchoolResource(), _out(SchoolResource(), School.objects.all())).totals["skip"] == 1


def test_no_school_is_added_by_an_import() -> None:
    make_school()
    file = _out(SchoolResource(), School.objects.all()).replace(b"7010118", b"9999999")
    assert _into(SchoolResource(), file).has_errors()
    assert School.objects.count() == 1


def test_nothing_is_changed_for_machines_and_nothing_runs_for_people() -> None:
    run = make_run()
    make_fetch(
        make_school(), run, state="failed", error_message="=1+1\n-2", error_code="-1", worker="@a"
    )
    queryset = FailureResource._meta.model.objects.all()
    machines, people = (_out(FailureResource(), queryset, f) for f in (MachineCSV, PeopleCSV))
    assert b'"=1+1\n-2"' in machines
    assert b'"\'=1+1\n-2"' in people
    assert b",-1," in people
    assert b"'@a" in people
    assert people.startswith("\ufeffid,run,".encode())
    assert b"None" not in machines + people


def test_rows_are_read_in_chunks_and_with_few_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    school, _ = make_school(), [make_run() for _ in range(20)]
    for run in RunResource._meta.model.objects.all():
        make_fetch(school, run)
    with django_assert_max_num_queries(2):
        assert _out(RunResource(), RunResource._meta.model.objects.all()).count(b"\n") == 21
    with django_assert_max_num_queries(2):
        _out(FailureResource(), FailureResource._meta.model.objects.all())


def _client(*codenames: str) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


def test_the_admin_exports_what_is_filtered_for_who_may_export() -> None:
    make_school("7010118", office="B10")
    make_school("7530001", office="J10")
    address = "/admin/collection/school/export/?office__code__exact=J10"
    chosen = {"format": "1", "resource": "", "export_items": []}
    assert _client("view_school").post(address, chosen).status_code == 403
    answer = _client("view_school", "export_data").post(address, chosen)
    assert answer.status_code == 200
    body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert (b"7530001" in body, b"7010118" in body) == (True, False)


def test_timetables_of_schools_are_exported_by_the_form_alone() -> None:
    school = make_school()
    chosen = {"action": "export_timetables", "_selected_action": [school.pk]}
    address = "/admin/collection/school/"
    answer = _client("view_school", "export_data").post(address, chosen)
    assert answer["Location"] == "/admin/exports/new/?schools=7010118"
    refused = _client("view_school").post(address, chosen)
    assert "exports/new" not in refused.get("Location", "")


def test_the_admin_shows_the_difference_and_imports_for_who_may_change(schedules: None) -> None:
    file = _jobs().replace(b"0 4 * * 1", b"30 5 * * 2")
    address = "/admin/collection/job/import/"
    assert _client("view_job").get(address).status_code == 403
    assert _client("view_job", "change_job").get(address).status_code == 403
    client = _client("view_job", "add_job", "change_job")
    shown = client.post(
        address, {"format": "0", "resource": "", "import_file": SimpleUploadedFile("a.csv", file)}
    )
    assert shown.context["result"].totals["update"] == 1
    assert "<ins" in shown.content.decode()
    assert b"0 4 * * 1" in _jobs()
    form = shown.context["confirm_form"]
    confirmed = client.post("/admin/collection/job/process_import/", form.initial)
    assert confirmed.status_code == 302
    assert _jobs() == file
