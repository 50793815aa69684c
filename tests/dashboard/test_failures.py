"""Failures: every number is what its list holds, and what is retried leaves the list."""

import csv
import re
from datetime import datetime, timedelta
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_results.models import TaskResult
from pytest_django import Settings

from collection.models import (
    Attempt,
    CoverageCell,
    ErrorClass,
    FetchState,
    Office,
    Run,
    SchoolFetch,
)
from collection.planning import KOREA, monday_of
from dashboard.failures import reads
from dashboard.failures.advice import ADVICE, Blame
from tests.collection.ledger import make_run, make_school
from tests.dashboard.history import make_ended
from tests.dashboard.people import log_in

pytestmark = pytest.mark.django_db
FAILED = FetchState.FAILED
AGES = (timedelta(minutes=30), timedelta(hours=20), timedelta(days=6), timedelta(days=27),
        timedelta(days=40))  # fmt: skip


def fail(
    code: str, *, age: timedelta = AGES[0], run: Run | None = None, error: str = "timed_out",
    error_code: str = "", attempts: int = 1,
) -> SchoolFetch:  # fmt: skip
    fetch = make_ended(
        make_school(code), run or make_run(), FAILED, error=error, attempts=attempts,
        ended_at=timezone.now() - age, error_code=error_code,
    )  # fmt: skip
    fetch.attempts.update(error_code=error_code)
    return fetch


def fail_task(number: int, *, age: timedelta, error: str = "OSError") -> None:
    TaskResult.objects.create(
        task_id=f"task-{number}", task_name="collection.clean_results", status="FAILURE",
        result=f'{{"exc_type": "{error}", "exc_message": [""]}}',
    )  # fmt: skip
    TaskResult.objects.filter(task_id=f"task-{number}").update(date_done=timezone.now() - age)


def counts(groups: list[reads.Group]) -> dict[tuple[str, str], list[int]]:
    return {(each.kind, each.code): [count for _, count in each.counts] for each in groups}


def test_failures_are_counted_by_class_and_code_over_each_span() -> None:
    run = make_run()
    for number, age in enumerate(AGES):
        fail(f"700000{number}", age=age, run=run)
        fail_task(number, age=age)
    fail("7000010", age=AGES[1], run=run, error="server_fault", error_code="HTTP 500", attempts=3)
    now = timezone.now()

    fetches, attempts = reads.read_fetch_groups(now=now), reads.read_attempt_groups(now=now)

    assert counts(fetches) == {
        ("timed_out", ""): [1, 2, 3, 4], ("server_fault", "HTTP 500"): [0, 1, 1, 1],
    }  # fmt: skip
    assert counts(attempts) == {
        ("timed_out", ""): [1, 2, 3, 4], ("server_fault", "HTTP 500"): [0, 3, 3, 3],
    }  # fmt: skip
    assert counts(reads.read_task_groups(now=now)) == {
        ("collection.clean_results", "OSError"): [1, 2, 3, 4]
    }
    timed_out = next(each for each in fetches if each.kind == "timed_out")
    ended = SchoolFetch.objects.filter(error_class="timed_out").order_by("finished_at")
    assert timed_out.first_seen == ended[0].finished_at
    assert timed_out.last_seen == ended[4].finished_at


def test_every_number_leads_to_a_list_of_as_many_rows(client: Client) -> None:
    user = log_in(client, "view_schoolfetch")
    user.user_permissions.add(Permission.objects.get(codename="view_taskresult"))
    run = make_run()
    for number, age in enumerate(AGES):
        fail(f"700000{number}", age=age, run=run, error_code="" if number % 2 else "HTTP 503")
        fail_task(number, age=age, error="OSError" if number % 2 else "KeyError")
    page = client.get("/admin/failures/").content.decode()
    links = re.findall(r'href="(/admin/failures/[a-z]+/\?kind=[^"]+)">(\d+)</a>', page)

    assert len(links) == 3 * (4 + 3)
    for address, count in links:
        rows = client.get(unquote(address.replace("&amp;", "&"))).content.decode()
        assert rows.count('<th scope="row">') == int(count), address


def test_blame_is_split(client: Client) -> None:
    now = timezone.now()
    last_week = monday_of(datetime.now(KOREA).date()) - timedelta(weeks=1)
    fail("7000001", error="timed_out")
    fail("7000002", error="bug")
    fail("7000003", error="bug", age=AGES[3])
    CoverageCell.objects.create(
        office=Office.objects.get(), level="high", monday=last_week, collected=1, empty=4,
        failed=0, held=0, untried=0,
    )  # fmt: skip

    split = reads.split_blame(reads.read_fetch_groups(now=now), now=now)

    assert (split.neis, split.us, split.unpublished, split.monday) == (1, 1, 4, last_week)


def test_retries_are_told_with_the_schools_that_needed_most() -> None:
    run, other = make_run(), make_run()
    calm, weak, old = (make_school(f"700000{number}") for number in range(3))
    make_ended(calm, run, attempts=1)
    make_ended(weak, run, attempts=3)
    make_ended(weak, other, attempts=2)
    make_ended(old, other, attempts=5, ended_at=timezone.now() - AGES[4])

    retries = reads.read_retries(now=timezone.now())

    assert retries.by_attempts == [(2, 1), (3, 1)]
    assert retries.schools == [(weak, 3, 2)]


def test_a_class_is_retried_as_a_whole_and_leaves_the_list(
    client: Client, settings: Settings
) -> None:
    settings.NEIS_API_KEYS = ("k",)
    log_in(client, "view_schoolfetch", "operate_run", "view_run")
    chosen = [fail("7000001"), fail("7000002", age=AGES[3])]
    other = fail("7000003", error="bug")
    form = {"action": "retry", "matching": "1", "filters": "kind=timed_out&code=-"}

    asked = client.post("/admin/failures/schools/act/", form)
    assert asked.status_code == 200
    assert not Run.objects.filter(trigger="retry").exists()
    client.post("/admin/failures/schools/act/", form | {"confirmed": "1"})

    for fetch in chosen:
        fetch.refresh_from_db()
        assert fetch.retried_by is not None
        assert fetch.retried_by.run.trigger == "retry"
    other.refresh_from_db()
    assert other.retried_by is None
    assert counts(reads.read_fetch_groups(now=timezone.now())) == {("bug", ""): [1, 1, 1, 1]}
    assert "7000001" not in client.get("/admin/failures/schools/").content.decode()
    assert "7000001" in client.get("/admin/failures/schools/?retried=yes").content.decode()


def test_retry_needs_the_permission(client: Client, settings: Settings) -> None:
    settings.NEIS_API_KEYS = ("k",)
    log_in(client, "view_schoolfetch")
    fetch = fail("7000001")

    page = client.get("/admin/failures/schools/").content.decode()
    refused = client.post("/admin/failures/schools/act/", {"action": "retry", "chosen": fetch.pk})

    assert 'value="retry"' not in page
    assert refused.status_code == 403
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    "address", ["", "groups/", "schools/", "schools/csv/", "attempts/", "attempts/csv/", "tasks/"]
)
def test_pages_need_the_permission(client: Client, address: str) -> None:
    log_in(client, "view_run")

    assert client.get(f"/admin/failures/{address}").status_code == 403


def test_csv_is_the_list_with_its_filters_and_needs_a_permission_of_its_own(
    client: Client,
) -> None:
    user = log_in(client, "view_schoolfetch")
    fetch = fail("7000001")
    SchoolFetch.objects.filter(pk=fetch.pk).update(error_message="=1+1")
    fail("7000002", error="bug")
    address = "/admin/failures/schools/csv/?kind=timed_out"
    assert client.get(address).status_code == 403
    user.is_superuser = True
    user.save()

    answer = client.get(address)
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    header, *lines = csv.reader(text.splitlines())

    assert [(row[2], row[header.index("message")]) for row in lines] == [("7000001", "'=1+1")]


def test_groups_take_as_many_queries_for_many_classes_as_for_one(client: Client) -> None:
    log_in(client, "view_schoolfetch")
    fail("7000001")
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/failures/groups/")
    for number, error in enumerate(ErrorClass.values):
        fail(f"71000{number:02}", error=error, attempts=2)

    with CaptureQueriesContext(connection) as many:
        client.get("/admin/failures/groups/")

    assert len(many) == len(few)


def test_every_class_of_error_has_advice() -> None:
    assert set(ErrorClass.values) <= set(ADVICE)
    assert {advice.blame for advice in ADVICE.values()} == set(Blame)


def test_attempts_of_a_fetch_that_succeeded_in_the_end_are_listed(client: Client) -> None:
    log_in(client, "view_schoolfetch")
    make_ended(make_school("7000001"), make_run(), attempts=2)

    page = client.get("/admin/failures/attempts/").content.decode()

    assert page.count('<th scope="row">') == Attempt.objects.exclude(outcome="succeeded").count()
