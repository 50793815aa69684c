"""django-celery-beat's tasks in the console: none of the traps of its own admin."""

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from collection import audit
from collection.models import Job
from dashboard.roles import ADMINISTRATOR, OPERATOR, VIEWER
from tests.collection.admin.jobs import make_job
from tests.dashboard.people import client_of

LIST = "/admin/django_celery_beat/periodictask/"
CRONTABS = "/admin/django_celery_beat/crontabschedule/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return client_of(OPERATOR)


@pytest.fixture
def crontab() -> CrontabSchedule:
    return CrontabSchedule.objects.create(minute="0", hour="3", timezone="Asia/Seoul")


def make_task(crontab: CrontabSchedule, *, enabled: bool = True) -> PeriodicTask:
    """Due long ago, with settings that a message of it has to have."""
    task = PeriodicTask.objects.create(
        name="nightly",
        task="collection.clean_results",
        crontab=crontab,
        queue="control",
        enabled=enabled,
        priority=9,
        expire_seconds=60,
        headers=json.dumps({"trace": "1"}),
    )
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=timezone.now() - timedelta(days=20))
    return task


def form(crontab: CrontabSchedule | None = None, **changes: object) -> dict[str, object]:
    return {
        "name": "nightly",
        "task": "collection.clean_results",
        "kwargs": "{}",
        "enabled": "on",
        "description": "",
        "crontab": crontab.pk if crontab else "",
        "interval": "",
        "start_time_0": "",
        "start_time_1": "",
        "expires_0": "",
        "expires_1": "",
        "expire_seconds": "",
        "priority": "",
    } | changes


def act(client: Client, action: str, *tasks: PeriodicTask) -> list[str]:
    response = client.post(
        LIST,
        {"action": action, "_selected_action": [task.pk for task in tasks], "index": "0"},
        follow=True,
    )
    return [str(message) for message in response.context["messages"]]


def is_due(task: PeriodicTask) -> bool:
    task.refresh_from_db()
    return bool(task.schedule.is_due(task.last_run_at or task.date_changed).is_due)


def test_a_task_of_the_allow_list_is_saved_for_the_queue_of_the_scheduler(
    operator: Client, crontab: CrontabSchedule
) -> None:
    operator.post(f"{LIST}add/", form(crontab))

    task = PeriodicTask.objects.get(name="nightly")
    assert (task.task, task.queue) == ("collection.clean_results", "control")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": "os.system"}, "task"),
        ({"task": "collection.start_due", "kwargs": '{"job": 1}'}, "task"),
        ({"kwargs": '{"job": 1}'}, "kwargs"),
        ({"kwargs": "{"}, "kwargs"),
        ({"kwargs": "[]"}, "kwargs"),
        ({"crontab": ""}, "__all__"),
        ({"priority": "-1"}, "priority"),
    ],
    ids=[
        "not allowed",
        "a job's",
        "unknown argument",
        "no JSON",
        "no names",
        "no schedule",
        "priority",
    ],
)
def test_what_beat_must_not_send_is_refused(
    operator: Client, crontab: CrontabSchedule, changes: dict[str, object], field: str
) -> None:
    response = operator.post(f"{LIST}add/", form(crontab) | changes)

    assert field in response.context["adminform"].form.errors
    assert not PeriodicTask.objects.filter(name="nightly").exists()


def test_two_schedules_at_once_are_refused(operator: Client, crontab: CrontabSchedule) -> None:
    interval = IntervalSchedule.objects.create(every=5, period="minutes")

    response = operator.post(f"{LIST}add/", form(crontab, interval=interval.pk))

    assert response.context["adminform"].form.errors


def test_switching_on_again_fires_nothing(operator: Client, crontab: CrontabSchedule) -> None:
    task = make_task(crontab)
    assert is_due(task)

    act(operator, "switch_off", task)
    (message,) = act(operator, "switch_on", task)

    assert not is_due(task)
    assert task.enabled
    assert "What it missed while it was off is skipped." in message
    assert [audit.values_of(entry) for entry in LogEntry.objects.order_by("pk")] == [
        [audit.Change("Enabled", "on", "off")],
        [audit.Change("Enabled", "off", "on")],
    ]


def test_another_schedule_fires_nothing_for_the_time_before(
    operator: Client, crontab: CrontabSchedule
) -> None:
    task = make_task(crontab)
    hourly = CrontabSchedule.objects.create(minute="0", timezone="Asia/Seoul")

    operator.post(f"{LIST}{task.pk}/change/", form(hourly))

    assert not is_due(task)


def test_another_hour_of_a_shared_crontab_fires_nothing_for_the_time_before(
    operator: Client, crontab: CrontabSchedule
) -> None:
    task = make_task(crontab)
    fields = {"minute": "0", "hour": "*", "day_of_month": "*", "month_of_year": "*",
              "day_of_week": "*", "timezone": "Asia/Seoul"}  # fmt: skip

    operator.post(f"{CRONTABS}{crontab.pk}/change/", fields)

    assert task.crontab is not None
    task.crontab.refresh_from_db()
    assert task.crontab.hour == "*"
    assert not is_due(task)


def test_sending_once_leaves_it_to_beat_with_all_settings_of_the_message(
    operator: Client, crontab: CrontabSchedule
) -> None:
    task = make_task(crontab)
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=timezone.now())
    assert not is_due(task)

    (message,) = act(operator, "send_now", task)

    assert is_due(task)
    assert (task.priority, task.expire_seconds, task.headers) == (9, 60, '{"trace": "1"}')
    assert message == "The scheduler sends 1 task within seconds."
    assert LogEntry.objects.count() == 1


def test_a_task_that_is_off_is_not_sent(operator: Client, crontab: CrontabSchedule) -> None:
    task = make_task(crontab, enabled=False)
    messages = act(operator, "send_now", task)
    assert messages[0] == "The scheduler sends 0 tasks within seconds."
    assert not LogEntry.objects.exists()


def test_who_may_only_look_can_do_nothing(crontab: CrontabSchedule) -> None:
    task = make_task(crontab)
    before = PeriodicTask.objects.values().get(pk=task.pk)
    viewer = client_of(VIEWER)

    for action in ("switch_off", "switch_on", "send_now", "delete_selected"):
        act(viewer, action, task)

    assert PeriodicTask.objects.values().get(pk=task.pk) == before
    assert not LogEntry.objects.exists()


def test_the_task_of_a_job_is_changed_as_to_when_alone(
    operator: Client, crontab: CrontabSchedule
) -> None:
    job = make_job()
    task = PeriodicTask.objects.get(job=job)
    other = form(crontab, name="mine", task="collection.clean_results", kwargs='{"job": 99}')

    page = operator.get(f"{LIST}{task.pk}/change/").content.decode()
    operator.post(f"{LIST}{task.pk}/change/", other)

    task.refresh_from_db()
    assert f"/admin/collection/job/{job.pk}/change/" in page
    assert (task.task, json.loads(task.kwargs)) == ("collection.start_due", {"job": job.pk})
    assert task.name != "mine"
    assert (task.crontab, task.enabled) == (crontab, True)


def test_the_task_of_a_job_is_switched_with_the_job(operator: Client) -> None:
    job = make_job()
    task = PeriodicTask.objects.get(job=job)

    act(operator, "switch_on", task)

    job.refresh_from_db()
    assert job.is_enabled
    assert job.settled_schedule != ""


@pytest.mark.parametrize("in_bulk", [False, True], ids=["one", "in bulk"])
def test_the_task_of_a_job_can_not_be_deleted(in_bulk: bool) -> None:
    task = PeriodicTask.objects.get(job=make_job())
    administrator = client_of(ADMINISTRATOR)

    if in_bulk:
        administrator.post(
            LIST, {"action": "delete_selected", "_selected_action": [task.pk], "post": "yes"}
        )
    else:
        administrator.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})

    assert PeriodicTask.objects.filter(pk=task.pk).exists()


def test_the_pump_can_be_neither_switched_off_nor_deleted() -> None:
    pump = PeriodicTask.objects.get(task="collection.pump")
    administrator = client_of(ADMINISTRATOR)

    messages = act(administrator, "switch_off", pump)
    administrator.post(f"{LIST}{pump.pk}/delete/", {"post": "yes"})
    administrator.post(f"{LIST}{pump.pk}/change/", form())

    pump.refresh_from_db()
    assert pump.enabled
    assert "The pump is left as it is: without it nothing is collected." in messages


@pytest.mark.parametrize(
    "fields",
    [{"day_of_month": "31", "month_of_year": "2"}, {"day_of_week": "7"}, {"hour": "24"}],
    ids=["31 February", "an eighth weekday, which beat can not read", "hour 24"],
)
def test_a_crontab_that_beat_would_stumble_over_is_refused(
    operator: Client, fields: dict[str, str]
) -> None:
    every = dict.fromkeys(("hour", "day_of_month", "month_of_year", "day_of_week"), "*")
    count = CrontabSchedule.objects.count()

    response = operator.post(
        f"{CRONTABS}add/", every | {"minute": "0", "timezone": "Asia/Seoul"} | fields
    )

    assert response.context["adminform"].form.errors
    assert CrontabSchedule.objects.count() == count


def test_a_crontab_in_use_can_not_be_deleted_and_takes_nothing_with_it() -> None:
    job = make_job()
    task = PeriodicTask.objects.get(job=job)

    client_of(ADMINISTRATOR).post(f"{CRONTABS}{task.crontab_id}/delete/", {"post": "yes"})

    assert Job.objects.filter(pk=job.pk, periodic_task=task).exists()
