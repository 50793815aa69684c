"""What an operator fills in, and what django-celery-beat then has."""

import json
from datetime import time

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from collection import audit
from collection.admin import job_schedule
from collection.models import Job, Office, Run
from dashboard.roles import OPERATOR, VIEWER
from tests.collection.admin.jobs import FORM, make_job
from tests.collection.ledger import make_school
from tests.dashboard.people import client_of

ADD = "/admin/collection/job/add/"
PREVIEW = "/admin/collection/job/preview/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return client_of(OPERATOR)


@pytest.fixture(autouse=True)
def _no_jobs() -> None:
    for job in Job.objects.all():
        if job.periodic_task:
            job.periodic_task.delete()
        job.delete()


def saved(client: Client, **changes: object) -> Job:
    response = client.post(ADD, FORM | changes)
    assert response.status_code == 302, response.context["errors"]
    return Job.objects.get()


def change_page(job: Job) -> str:
    return f"/admin/collection/job/{job.pk}/change/"


def test_a_weekly_job_gets_a_periodic_task(operator: Client) -> None:
    job = saved(operator, weekdays=["1", "4"], enabled="on")

    task = job.periodic_task
    assert task is not None
    assert (task.task, json.loads(task.kwargs)) == ("collection.start_due", {"job": job.pk})
    assert task.enabled
    assert task.crontab is not None
    assert (task.crontab.minute, task.crontab.hour, task.crontab.day_of_week) == ("0", "4", "1,4")
    assert str(task.crontab.timezone) == "Asia/Seoul"
    assert not Run.objects.exists()


def test_two_jobs_share_the_row_of_an_equal_crontab(operator: Client) -> None:
    operator.post(ADD, FORM)
    operator.post(ADD, FORM | {"name": "중학교"})

    tasks = PeriodicTask.objects.filter(job__isnull=False)
    assert len({task.crontab_id for task in tasks}) == 1
    assert len(tasks) == 2


@pytest.mark.parametrize(
    ("fields", "crontab", "interval"),
    [
        ({"kind": "interval", "every": "6", "period": "hours"}, None, (6, "hours")),
        ({"kind": "crontab", "crontab": "*/30 1-5 1 3,9 *"}, "*/30 1-5 1 3,9 *", None),
        ({"weekdays": list("1234560")}, "0 4 * * *", None),
        ({"kind": "none"}, None, None),
    ],
    ids=["interval", "crontab", "every day", "by hand"],
)
def test_every_kind_of_schedule_is_saved_and_shown_again(
    operator: Client,
    fields: dict[str, object],
    crontab: str | None,
    interval: tuple[int, str] | None,
) -> None:
    job = saved(operator, **fields)

    task = job.periodic_task
    if crontab is None and interval is None:
        assert task is None
    else:
        assert task is not None
        row = task.crontab
        parts = row and (row.minute, row.hour, row.day_of_month, row.month_of_year, row.day_of_week)
        assert (" ".join(parts) if parts else None) == crontab
        assert (task.interval and (task.interval.every, task.interval.period)) == interval
    form = operator.get(change_page(job)).context["adminform"].form
    assert form["kind"].value() == fields.get("kind", "weekly")


def test_a_schedule_that_was_changed_in_the_periodic_task_is_shown_in_the_form(
    operator: Client,
) -> None:
    job = make_job()
    tuesday = CrontabSchedule.objects.create(
        minute="30", hour="5", day_of_week="2", timezone="Europe/Berlin"
    )
    PeriodicTask.objects.filter(job=job).update(crontab=tuesday)

    form = operator.get(change_page(job)).context["adminform"].form

    assert form["weekdays"].value() == ["2"]
    assert form["time_of_day"].value() == time(5, 30)
    assert form["time_zone"].value() == "Europe/Berlin"


def test_monday_becomes_tuesday_in_the_periodic_task(operator: Client) -> None:
    job = make_job(enabled=True)

    operator.post(change_page(job), FORM | {"weekdays": ["2"], "enabled": "on"})

    task = PeriodicTask.objects.get(job=job)
    assert task.crontab is not None
    assert task.crontab.day_of_week == "2"
    (entry,) = LogEntry.objects.filter(object_id=str(job.pk))
    assert audit.Change("Weekdays", "Monday", "Tuesday") in audit.values_of(entry)


def test_the_log_names_old_and_new_values(operator: Client) -> None:
    job = make_job(missed="skip")

    operator.post(change_page(job), FORM | {"levels": ["high", "middle"], "priority": "7"})

    (entry,) = LogEntry.objects.filter(object_id=str(job.pk))
    assert {(change.label, change.before, change.after) for change in audit.values_of(entry)} == {
        ("school levels", "High school", "High school, Middle school"),
        ("priority", "5", "7"),
        ("when a due time was missed", "Skip", "Run the latest one late"),
    }


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"weekdays": []}, "weekdays", "Choose at least one weekday."),
        ({"time_of_day": ""}, "time_of_day", "At what time?"),
        ({"time_of_day": "25:00"}, "time_of_day", "Enter a valid time."),
        ({"time_zone": "Asia/Atlantis"}, "time_zone", "There is no such time zone."),
        ({"kind": "interval"}, "every", "How often?"),
        ({"kind": "crontab", "crontab": "0 4 * *"}, "crontab", "A crontab has five parts"),
        ({"kind": "crontab", "crontab": "0 4 31 2 *"}, "crontab", "there is no such date"),
        ({"kind": "crontab", "crontab": "99 4 * * *"}, "crontab", ""),
        ({"kind": "none", "enabled": "on"}, "enabled", "Without a schedule"),
        ({"window_weeks": "0"}, "window_weeks", "greater than or equal to 1"),
        ({"window_offset": "-99"}, "window_offset", "greater than or equal to -52"),
        ({"levels": ["nursery"]}, "levels", "not one of the available choices"),
        ({"name": ""}, "name", "This field is required."),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(map(str, value)),
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    operator: Client, changes: dict[str, object], field: str, text: str
) -> None:
    response = operator.post(ADD, FORM | {"priority": "9"} | changes)

    form = response.context["adminform"].form
    assert any(text in error for error in form.errors[field])
    assert form["priority"].value() == "9"
    assert not Job.objects.exists()
    assert not PeriodicTask.objects.filter(task="collection.start_due").exists()


def test_what_is_wrong_is_said_in_korean_too() -> None:
    response = client_of(OPERATOR, language="ko").post(ADD, FORM | {"name": ""})

    assert response.context["adminform"].form.errors["name"] == ["필수 항목입니다."]


def test_the_preview_tells_due_times_schools_requests_and_whether_they_fit(
    operator: Client,
) -> None:
    make_school("1")
    make_school("2")

    response = operator.post(PREVIEW, FORM | {"name": "", "time_zone": "America/New_York"})

    preview = response.context["preview"]
    assert len(preview.times) == 5
    assert {(moment.astimezone(preview.zone).weekday(), moment.astimezone(preview.zone).hour)
            for moment in preview.times} == {(0, 4)}  # fmt: skip
    assert preview.estimate.schools == 2
    assert preview.fits
    assert "Every Monday at 04:00 (America/New_York)" in response.content.decode()
    assert not preview.errors
    assert not Job.objects.exists()


def test_the_preview_says_what_is_wrong_and_what_can_be_told(operator: Client) -> None:
    response = operator.post(PREVIEW, FORM | {"weekdays": []})

    text = response.content.decode()
    assert "Weekdays: Choose at least one weekday." in text
    assert response.context["preview"].estimate is not None


def test_a_job_that_is_due_again_before_it_can_end_is_told(operator: Client) -> None:
    for number in range(15):
        make_school(str(number))

    response = operator.post(PREVIEW, FORM | {"kind": "crontab", "crontab": "* * * * *"})
    assert response.context["preview"].fits

    for number in range(100, 700):
        make_school(str(number))
    response = operator.post(PREVIEW, FORM | {"kind": "crontab", "crontab": "* * * * *"})
    assert response.context["preview"].fits is False


def test_the_preview_changes_nothing_of_a_job(operator: Client) -> None:
    job = make_job()
    operator.post(f"/admin/collection/job/{job.pk}/preview/", FORM | {"name": "x", "priority": "1"})

    job.refresh_from_db()
    assert (job.name, job.priority) == ("고등학교", 5)


def test_who_may_only_look_sees_the_job_and_no_form() -> None:
    job = make_job()

    response = client_of(VIEWER).get(change_page(job))

    text = response.content.decode()
    assert "Every Monday at 04:00" in text
    assert "High school" in text
    assert 'name="weekdays"' not in text


def test_deleting_is_asked_about_in_the_words_of_the_language_and_without_mere_links() -> None:
    job = make_job("Every week")
    job.offices.add(Office.objects.create(code="B10", name="서울특별시교육청"))
    administrator = client_of("Administrator", language="ko")

    form = administrator.get(f"/admin/collection/job/{job.pk}/change/").content.decode()
    asked = administrator.get(f"/admin/collection/job/{job.pk}/delete/").content.decode()

    assert "수집 작업 삭제" in form
    assert ">Every week</a>" in asked
    assert "수집 작업: 1" in asked
    assert "offices object" not in asked
    assert "Job-office" not in asked


def test_deleting_a_job_deletes_its_periodic_task() -> None:
    job = make_job()

    client_of("Administrator").post(f"/admin/collection/job/{job.pk}/delete/", {"post": "yes"})

    assert not Job.objects.exists()
    assert not PeriodicTask.objects.filter(task="collection.start_due").exists()


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"minute": "0", "hour": "4", "day_of_week": "mon-fri"}, "weekly"),
        ({"minute": "0", "hour": "4", "day_of_week": "6-0"}, "weekly"),
        ({"minute": "0,30", "hour": "4"}, "crontab"),
        ({"minute": "0", "hour": "4", "day_of_month": "1"}, "crontab"),
        ({"minute": "0", "hour": "4", "day_of_month": "31", "month_of_year": "2"}, "crontab"),
    ],
    ids=["names of days", "over Sunday", "twice an hour", "a day of the month", "no such date"],
)
def test_a_crontab_is_shown_as_weekdays_where_it_can_be(columns: dict[str, str], kind: str) -> None:
    task = PeriodicTask(crontab=CrontabSchedule(timezone="Asia/Seoul", **columns))

    assert job_schedule.fields_of(task)["kind"] == kind


def test_an_interval_of_seconds_is_kept(operator: Client) -> None:
    task = PeriodicTask(interval=IntervalSchedule(every=90, period="seconds"))

    assert job_schedule.fields_of(task)["every"] == 90
