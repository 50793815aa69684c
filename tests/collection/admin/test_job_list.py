"""One row of the list answers everything, and acts in place."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from collection import audit, due
from collection.models import FetchState, Job, Run, RunState
from dashboard.roles import OPERATOR, VIEWER
from tests.collection.admin.jobs import make_job
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.dashboard.people import client_of

LIST = "/admin/collection/job/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return client_of(OPERATOR)


def test_a_row_tells_schedule_next_due_time_last_run_and_failures(operator: Client) -> None:
    job = make_job(enabled=True)
    run = make_run(job=job, state=RunState.INCOMPLETE, finished_at=timezone.now())
    make_fetch(run=run, state=FetchState.FAILED)

    text = operator.get(LIST).content.decode()

    assert "Every Monday at 04:00" in text
    (next_at,) = due.next_times(job, now=timezone.now())
    assert f"{timezone.localtime(next_at):%Y-%m-%d} (Mon) 04:00" in text
    assert f"#{run.pk} ·" in text
    assert "Ended with failures" in text
    assert "1 failed" in text


def test_the_last_ten_runs_link_and_speak(operator: Client) -> None:
    job = make_job()
    runs = [make_run(job=job, state=RunState.COMPLETED, finished_at=timezone.now())
            for _ in range(12)]  # fmt: skip

    text = operator.get(LIST).content.decode()

    assert [f'aria-label="#{run.pk}, ' in text for run in runs] == [False] * 2 + [True] * 10


def test_the_number_of_queries_does_not_grow_with_jobs_and_runs(operator: Client) -> None:
    def fill(count: int) -> None:
        for number in range(count):
            job = make_job(f"{count}/{number}", enabled=True)
            make_run(job=job, state=RunState.COMPLETED, finished_at=timezone.now())

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(LIST).status_code == 200
        return len(captured)

    fill(2)
    queries()
    few = queries()
    fill(60)
    assert queries() == few


def switch(client: Client, job: Job, *, on: bool) -> str:
    response = client.post(f"{LIST}{job.pk}/switch/", {"on": "1" if on else "0"})
    assert response.status_code == 200
    return response.content.decode()


def test_switching_on_fires_nothing_and_says_what_was_skipped(operator: Client) -> None:
    job = make_job()
    PeriodicTask.objects.filter(job=job).update(last_run_at=timezone.now() - timedelta(days=20))

    text = switch(operator, job, on=True)

    task = PeriodicTask.objects.get(job=job)
    assert task.enabled
    assert task.last_run_at is None
    assert not task.schedule.is_due(task.last_run_at or task.date_changed).is_due
    assert due.settle(now=timezone.now()) == []
    assert "What was due while it was off is skipped." in text
    assert "Next due:" in text
    assert 'aria-checked="true"' in text


def test_switching_is_in_the_log_with_before_and_after(operator: Client) -> None:
    job = make_job()
    switch(operator, job, on=True)
    switch(operator, job, on=True)
    switch(operator, job, on=False)

    entries = LogEntry.objects.order_by("pk")
    assert [audit.values_of(entry) for entry in entries] == [
        [audit.Change("switched on", "off", "on")],
        [audit.Change("switched on", "on", "off")],
    ]
    assert {entry.user.get_username() for entry in entries} == {"operator"}


def test_many_are_switched_at_once(operator: Client) -> None:
    jobs = [make_job("1"), make_job("2", enabled=True), Job.objects.create(name="by hand")]

    response = operator.post(
        LIST,
        {"action": "switch_on", "_selected_action": [job.pk for job in jobs], "index": "0"},
        follow=True,
    )

    assert next(str(message) for message in response.context["messages"]).startswith(
        "1 job was switched on."
    )
    assert PeriodicTask.objects.filter(job__in=jobs, enabled=True).count() == 2
    assert LogEntry.objects.count() == 1


def test_who_may_only_look_gets_no_switch_and_no_buttons() -> None:
    make_job()

    text = client_of(VIEWER).get(LIST).content.decode()

    assert "hx-post" not in text
    assert "Run now" not in text
    assert 'role="switch"' in text


def test_running_now_asks_first_and_then_starts_the_window_that_was_asked_for(
    operator: Client, settings: Any
) -> None:
    settings.NEIS_API_KEYS = ("key",)
    job = make_job()
    make_school("1")
    page = operator.get(f"{LIST}{job.pk}/run/")
    assert page.context["estimate"].schools == 1
    assert not Run.objects.exists()

    response = operator.post(
        f"{LIST}{job.pk}/run/", {"first_day": "2026-06-10", "weeks": "2"}, follow=True
    )

    run = Run.objects.get()
    assert (f"{run.first_monday}", run.weeks, run.trigger) == ("2026-06-08", 2, "manual")
    assert run.started_by is not None
    assert run.started_by.get_username() == "operator"
    assert response.redirect_chain == [(f"/admin/runs/{run.pk}/", 302)]
    assert LogEntry.objects.filter(object_id=str(job.pk)).count() == 1


def test_a_window_that_can_not_be_is_refused(operator: Client) -> None:
    job = make_job()

    response = operator.post(f"{LIST}{job.pk}/run/", {"first_day": "2026-02-30", "weeks": "99"})

    assert set(response.context["form"].errors) == {"first_day", "weeks"}
    assert not Run.objects.exists()


def test_a_second_run_is_refused_with_a_link_to_the_open_one(
    operator: Client, settings: Any
) -> None:
    settings.NEIS_API_KEYS = ("key",)
    job = make_job()
    make_school("1")
    run = make_run(job=job)

    response = operator.post(
        f"{LIST}{job.pk}/run/", {"first_day": "2026-06-10", "weeks": "2"}, follow=True
    )

    (message,) = response.context["messages"]
    assert f"Run #{run.pk} of this job is still open." in str(message)
    assert f"/admin/runs/{run.pk}/" in str(message)
    assert Run.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_an_open_run_is_paused_and_resumed_from_the_list(operator: Client) -> None:
    job = make_job()
    run = make_run(job=job)

    for on, state in (("0", RunState.PAUSED), ("1", RunState.RUNNING)):
        operator.post(f"{LIST}{job.pk}/pause/", {"run": run.pk, "on": on})
        run.refresh_from_db()
        assert run.state == state
    assert LogEntry.objects.filter(object_id=str(run.pk)).count() == 2


def test_list_is_shown_when_there_is_no_job() -> None:
    Job.objects.all().delete()
    assert client_of(VIEWER).get("/admin/collection/job/").status_code == 200
