"""What the operator does by calling what the console's pages and the commands call."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from collection import exports, held, starting, switching
from collection.clock import database_now
from collection.models import Export, Job, SchoolFetch, Trigger
from collection.planning import KOREA, first_monday_at
from tests.collection.jobs import daily, every
from tests.collection.jobs import make_job as make
from tests.faults.console import post_actions_as_viewer
from tests.faults.visitor import NAME, PASSWORD


def start(first: str, weeks: str) -> int:
    """What collect does, without following the run."""
    plan = starting.Plan(first_monday=date.fromisoformat(first), weeks=int(weeks))
    return starting.start(plan, trigger=Trigger.MANUAL, now=timezone.now()).pk


def make_job(told: str) -> int:
    """A job that is due every so many seconds, for the weeks that the emulator has."""
    columns: dict[str, Any] = json.loads(told)
    now = database_now()
    seconds, first = columns.pop("seconds"), date.fromisoformat(columns.pop("first"))
    offset = (first - first_monday_at(now, offset=0)).days // 7
    schedule = every(seconds, "seconds")
    return make(schedule, now=now, window_offset=offset, window_weeks=1, **columns).pk


def move_job(job: str) -> None:
    """To an hour of the day that is past already."""
    now = database_now()
    past = (now - timedelta(hours=1)).astimezone(KOREA)
    switching.set_schedule(
        Job.objects.get(pk=job), daily(past.hour, past.minute), enabled=True, now=now
    )


def switch_job(job: str) -> None:
    for on in (False, True):
        switching.switch(Job.objects.filter(pk=job), on=on, now=database_now())


def start_at_once(job: str, times: str) -> list[str]:
    """What each of so many callers is told; "" for one whose run was started."""
    with ThreadPoolExecutor(int(times)) as threads:
        return list(threads.map(lambda _: _start_job(int(job)), range(int(times))))


def _start_job(job_id: int) -> str:
    try:
        job = Job.objects.get(pk=job_id)
        now = database_now()
        starting.start_of_job(job, starting.plan_of(job, now), trigger=Trigger.MANUAL, now=now)
    except starting.NotStarted as refusal:
        return str(refusal)
    finally:
        connection.close()
    return ""


def accept_held(run: str) -> int:
    return held.accept_later(held.waiting().filter(fetch__run=run), by=None)


def reject_held(run: str) -> int:
    return held.reject(held.waiting().filter(fetch__run=run), by=None)


def retry_failed(run: str) -> list[int]:
    failed = SchoolFetch.objects.filter(run=run)
    return [made.pk for made in starting.retry(failed, now=timezone.now(), started_by=None)]


def ask_for_export(first: str) -> str:
    export = Export(first_monday=date.fromisoformat(first), audience="machines")
    return str(exports.ask(export, asked_by=None, now=timezone.now()).pk)


def make_visitor() -> None:
    User.objects.create_superuser(NAME, password=PASSWORD)


ORDERS: dict[str, Callable[..., Any]] = {
    order.__name__: order
    for order in (
        start,
        make_job,
        move_job,
        switch_job,
        start_at_once,
        accept_held,
        reject_held,
        retry_failed,
        ask_for_export,
        make_visitor,
        post_actions_as_viewer,
    )
}
