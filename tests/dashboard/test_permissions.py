"""docs/permissions.md, line by line: who may do what."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from collection.models import Job, Run, School, StopSwitch
from dashboard.roles import ADMINISTRATOR, OPERATOR, VIEWER
from tests.collection.admin.jobs import FORM, make_job
from tests.collection.ledger import make_run, make_school
from tests.dashboard.people import NOBODY, ROLES, client_of

pytestmark = pytest.mark.django_db

ALL = (VIEWER, OPERATOR, ADMINISTRATOR)
OPERATORS = (OPERATOR, ADMINISTRATOR)
ADMINISTRATORS = (ADMINISTRATOR,)


def of(model: Any, page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


@dataclass(frozen=True)
class Door:
    """A page, or an action when there is something to `post`; `makes` the thing it is about."""

    name: str
    url_name: str
    roles: Collection[str]
    makes: Callable[[], Any] | None = None
    post: dict[str, Any] | None = None
    arguments: Callable[[Any], list[Any]] = field(default=lambda thing: [thing.pk])

    def open(self, role: str) -> int:
        thing = self.makes() if self.makes else None
        path = reverse(self.url_name, args=self.arguments(thing) if thing else [])
        client = client_of(role)
        if self.post is None:
            response = client.get(path)
        else:
            response = client.post(path, self.post)
        if response.status_code == 302 and response.headers["Location"].startswith("/admin/login/"):
            return 401
        return response.status_code


def lists() -> list[Door]:
    seen_by: dict[str, Collection[str]] = {
        "auth.user": ADMINISTRATORS,
        "auth.group": ADMINISTRATORS,
        "axes.accessattempt": ADMINISTRATORS,
        "admin.logentry": OPERATORS,
    }
    return [
        Door(f"list of {model._meta.label_lower}", of(model, "changelist"),
             seen_by.get(model._meta.label_lower, ALL))
        for model in admin.site._registry
    ]  # fmt: skip


def task() -> PeriodicTask:
    return PeriodicTask.objects.get(task="collection.clean_results")


def crontab() -> CrontabSchedule:
    return CrontabSchedule.objects.create(minute="7")


def interval() -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=7, period="hours")


def somebody() -> User:
    return User.objects.create(username="somebody")


def group() -> Group:
    return Group.objects.create(name="Press")


def open_run() -> Run:
    return make_run(job=make_job())


DOORS = [
    *lists(),
    Door("see a job", of(Job, "change"), ALL, make_job),
    Door("history of a job", of(Job, "history"), ALL, make_job),
    Door("form of a new job", of(Job, "add"), OPERATORS),
    Door("make a job", of(Job, "add"), OPERATORS, post=FORM),
    Door("change a job", of(Job, "change"), OPERATORS, make_job, post=FORM),
    Door("preview of a new job", of(Job, "preview"), OPERATORS, post=FORM),
    Door("preview of a job", of(Job, "preview-of"), OPERATORS, make_job, post=FORM),
    Door("switch a job", of(Job, "switch"), OPERATORS, make_job, post={"on": "1"}),
    Door("ask to run a job", of(Job, "run"), OPERATORS, make_job),
    Door("run a job", of(Job, "run"), OPERATORS, make_job,
         post={"first_day": "2026-06-08", "weeks": "1"}),
    Door("pause a run", of(Job, "pause"), OPERATORS, open_run, post={"run": "0", "on": "0"},
         arguments=lambda run: [run.job_id]),
    Door("delete a job", of(Job, "delete"), ADMINISTRATORS, make_job, post={"post": "yes"}),
    Door("see a periodic task", of(PeriodicTask, "change"), ALL, task),
    Door("form of a new periodic task", of(PeriodicTask, "add"), OPERATORS),
    Door("change a periodic task", of(PeriodicTask, "change"), OPERATORS, task, post={"name": ""}),
    Door("delete a periodic task", of(PeriodicTask, "delete"), ADMINISTRATORS, task,
         post={"post": "yes"}),
    Door("change a crontab", of(CrontabSchedule, "change"), OPERATORS, crontab, post={"hour": ""}),
    Door("delete a crontab", of(CrontabSchedule, "delete"), ADMINISTRATORS, crontab),
    Door("change an interval", of(IntervalSchedule, "change"), OPERATORS, interval,
         post={"every": ""}),
    Door("delete an interval", of(IntervalSchedule, "delete"), ADMINISTRATORS, interval),
    Door("ask to stop everything", "dashboard:stop", OPERATORS),
    Door("stop everything", "dashboard:stop", OPERATORS, post={}),
    Door("let collecting go on", "dashboard:go-on", OPERATORS, post={}),
    Door("send a test message", "dashboard:alert-test", OPERATORS, post={}),
    Door("export jobs", of(Job, "export"), OPERATORS),
    Door("import jobs", of(Job, "import"), OPERATORS),
    Door("import schools", of(School, "import"), ADMINISTRATORS),
    Door("form of a new user", of(User, "add"), ADMINISTRATORS),
    Door("change a user", of(User, "change"), ADMINISTRATORS, somebody, post={"username": ""}),
    Door("set a password", "admin:auth_user_password_change", ADMINISTRATORS, somebody),
    Door("delete a user", of(User, "delete"), ADMINISTRATORS, somebody, post={"post": "yes"}),
    Door("form of a new group", of(Group, "add"), ADMINISTRATORS),
    Door("change a group", of(Group, "change"), ADMINISTRATORS, group, post={"name": ""}),
    Door("delete a group", of(Group, "delete"), ADMINISTRATORS, group, post={"post": "yes"}),
]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_door_opens_for_whom_it_should(door: Door, role: str) -> None:
    answer = door.open(role)

    if role == NOBODY:
        assert answer == 401
    elif role in door.roles:
        # 404: there is no run 0 to pause.
        assert answer in (200, 302, 404)
    else:
        assert answer == 403


@dataclass(frozen=True)
class Action:
    """An action on what is chosen in a list; `done` tells whether it changed anything."""

    name: str
    model: Any
    roles: Collection[str]
    makes: Callable[[], Any]
    done: Callable[[Any], bool]


def off() -> PeriodicTask:
    PeriodicTask.objects.filter(pk=task().pk).update(enabled=False)
    return task()


def attempt() -> AccessAttempt:
    return AccessAttempt.objects.create(
        username="somebody", ip_address="127.0.0.1", failures_since_start=5,
        attempt_time=timezone.now(),
    )  # fmt: skip


ACTIONS = [
    Action("switch_on", Job, OPERATORS, make_job,
           lambda job: Job.objects.get(pk=job.pk).is_enabled),
    Action("switch_off", Job, OPERATORS, lambda: make_job(enabled=True),
           lambda job: not Job.objects.get(pk=job.pk).is_enabled),
    Action("delete_selected", Job, ADMINISTRATORS, make_job,
           lambda job: not Job.objects.filter(pk=job.pk).exists()),
    Action("switch_on", PeriodicTask, OPERATORS, off, lambda row: task().enabled),
    Action("switch_off", PeriodicTask, OPERATORS, task, lambda row: not task().enabled),
    Action("send_now", PeriodicTask, OPERATORS, task, lambda row: task().last_run_at is not None),
    Action("delete_selected", PeriodicTask, ADMINISTRATORS, task,
           lambda row: not PeriodicTask.objects.filter(pk=row.pk).exists()),
    Action("delete_selected", User, (), somebody,
           lambda user: not User.objects.filter(pk=user.pk).exists()),
    Action("delete_selected", Group, (), group,
           lambda row: not Group.objects.filter(pk=row.pk).exists()),
    Action("lift", AccessAttempt, ADMINISTRATORS, attempt,
           lambda row: not AccessAttempt.objects.exists()),
]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "action", ACTIONS, ids=lambda action: f"{action.model._meta.model_name}-{action.name}"
)
def test_an_action_is_done_for_whom_it_should(action: Action, role: str) -> None:
    thing = action.makes()

    client_of(role).post(
        reverse(of(action.model, "changelist")),
        {"action": action.name, "_selected_action": [thing.pk], "index": "0", "post": "yes"},
    )

    assert action.done(thing) == (role in action.roles)


def test_refused_posts_change_nothing() -> None:
    make_school("1")
    job = make_job()
    for role in (NOBODY, VIEWER):
        for door in DOORS:
            if door.post is not None and door.makes is None:
                door.open(role)
    assert list(Job.objects.filter(name=FORM["name"])) == [job]
    assert not StopSwitch.objects.exclude(stopped_at=None).exists()
    assert not Run.objects.exists()


def test_the_table_in_the_docs_names_every_permission_of_the_groups() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "permissions.md").read_text()

    given = Group.objects.filter(name__in=ALL).values_list(
        "permissions__content_type__app_label", "permissions__codename"
    )
    missing = {
        f"{application}.{codename}"
        for application, codename in given
        if f"{application}.{codename}" not in text
        and not (application == "collection" and codename.startswith("view_"))
    }
    assert not missing
