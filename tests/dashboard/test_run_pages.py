"""Runs, one run and one fetch: every number is what SQL says."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_results.models import TaskResult

from collection.clock import database_now
from collection.models import (
    Attempt,
    FetchState,
    Job,
    Level,
    RejectedRow,
    Run,
    RunState,
    School,
    SchoolFetch,
    Trigger,
)
from dashboard.runs import reads
from dashboard.runs.filters import FetchFilters, RunFilters
from dashboard.runs.pace import Pace, read_pace
from dashboard.runs.tallies import break_down
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.dashboard.history import make_ended
from tests.dashboard.people import LOOK, log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    cache.clear()


def sql(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def text_of(response: Any) -> str:
    """What a person reads, with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def make_schools(number: int, *, first: int = 1) -> list[School]:
    """Of two offices and of two levels, in turn."""
    return [
        make_school(
            f"{code:07}",
            office=("B10", "C10")[code % 2],
            level=(Level.HIGH, Level.MIDDLE, Level.HIGH)[code % 3],
        )
        for code in range(first, first + number)
    ]


def make_mixed_run(state: RunState = RunState.INCOMPLETE) -> Run:
    """Twelve schools in every state that an ended fetch can be in."""
    run = make_run(state=state, finished_at=timezone.now() + timedelta(minutes=1))
    states = [*[FetchState.SUCCEEDED] * 6, FetchState.EMPTY, FetchState.HELD]
    schools = make_schools(12)
    for school, fetch_state in zip(schools, states, strict=False):
        make_ended(school, run, fetch_state, received=100, stored=60, unchanged=30, duplicate=10)
    make_ended(schools[8], run, FetchState.FAILED, attempts=5, seconds=9)
    make_ended(schools[9], run, FetchState.FAILED, attempts=3, error="server_fault")
    make_ended(schools[10], run, FetchState.FAILED, attempts=2, error="server_fault")
    make_ended(schools[11], run, attempts=2, received=999, stored=999)
    return run


# Numbers


def test_tallies_are_what_sql_says_as_a_whole_by_office_and_by_level() -> None:
    run = make_mixed_run()
    make_ended(School.objects.all()[0], make_run())

    found = break_down(run.pk)

    by = """SELECT {key}, count(*) FILTER (WHERE item.state = 'failed'), count(*),
                   sum(attempt - 1), sum(received), sum(stored), sum(requests)
              FROM collection_schoolfetch AS item
              JOIN collection_school AS school ON school.id = item.school_id
             WHERE run_id = %s GROUP BY {key} ORDER BY {key}"""
    for key, tallies in (("school.office_id", found.by_office), ("school.level", found.by_level)):
        rows = [
            (name, t.failed, t.planned, t.retries, t.received, t.stored, t.requests)
            for name, t in sorted(tallies.items())
        ]
        assert rows == sql(by.format(key=key), run.pk)
    assert dict(found.whole.by_state) == {
        "succeeded": 7, "empty": 1, "held": 1, "failed": 3,
    }  # fmt: skip
    assert (found.whole.done, found.whole.open, found.whole.retries) == (12, 0, 8)


def test_list_tells_each_run_by_its_counts(client: Client) -> None:
    log_in(client, *LOOK)
    job = Job.objects.create(name="Every week")
    run = make_mixed_run()
    Run.objects.filter(pk=run.pk).update(job=job)

    text = text_of(client.get("/admin/runs/"))

    assert f"#{run.pk} Every week" in text
    assert "Succeeded 7 · No data 1 · Held 1 · Failed 3" in text


def test_list_counts_a_run_that_goes_on_anew_and_one_that_ended_once() -> None:
    open_run, ended = make_run(), make_run(state=RunState.COMPLETED)
    first, second, third = make_schools(3)
    make_ended(first, open_run)
    make_ended(first, ended)
    now = timezone.now()
    assert [row.tally.planned for row in reads.with_tallies([open_run, ended], now=now)] == [1, 1]
    make_ended(second, open_run)
    make_ended(third, open_run, FetchState.FAILED, attempts=4)

    with CaptureQueriesContext(connection) as queries:
        rows = reads.with_tallies([open_run, ended], now=now)

    assert (rows[0].tally.planned, rows[0].tally.retries, rows[1].tally.planned) == (3, 3, 1)
    assert str(ended.pk) not in queries[0]["sql"].partition("WHERE")[2]


def test_errors_of_a_run_are_counted_by_attempt_and_by_school() -> None:
    run = make_mixed_run()

    errors = reads.read_details(run, now=timezone.now()).errors

    assert [(row.error_class, row.attempts, row.failed) for row in errors] == [
        ("server_fault", 5, 2),
        ("timed_out", 6, 1),
    ]


def test_slowest_largest_and_attempts_of_a_run() -> None:
    details = reads.read_details(make_mixed_run(), now=timezone.now())

    assert details.slowest[0].school.code == "0000009"  # type: ignore[union-attr]
    assert (details.largest[0].school.code, details.largest[0].received) == ("0000012", 999)  # type: ignore[union-attr]
    assert details.attempts == [(1, 8), (2, 2), (3, 1), (5, 1)]


def test_run_page_shows_the_equation_and_every_number(client: Client) -> None:
    log_in(client, *LOOK)
    run = make_mixed_run()

    text = text_of(client.get(f"/admin/runs/{run.pk}/"))

    assert "100.0 % 12 of 12 schools" in text
    assert (
        "1,799 entries received = 1,479 stored + 240 unchanged + 0 held + 80 duplicate "
        "+ 0 rejected · 0 removed" in text
    )
    assert "Retries 8" in text
    assert "12 schools" in text


def test_run_page_says_what_a_skipped_run_is(client: Client) -> None:
    log_in(client, *LOOK)
    run = make_run(state=RunState.SKIPPED, skip_reason="missed")

    text = text_of(client.get(f"/admin/runs/{run.pk}/"))

    assert "The due time was missed" in text
    assert "it was skipped" in text


def test_run_that_the_guard_paused_says_what_to_do(client: Client) -> None:
    log_in(client, *LOOK)
    run = make_run(state=RunState.PAUSED, pause_reason="guard")

    response = client.get(f"/admin/runs/{run.pk}/")

    assert "The guard has paused this run" in text_of(response)
    assert f"/admin/held/?run={run.pk}" in response.content.decode()


def test_run_of_the_school_list_is_shown_though_it_has_no_school(client: Client) -> None:
    log_in(client, *LOOK)
    run = make_run(dataset="school_list")
    fetch = SchoolFetch.objects.create(run=run)

    assert "School list" in text_of(client.get(f"/admin/runs/{run.pk}/"))
    assert client.get(f"/admin/fetches/{fetch.pk}/").status_code == 200
    assert client.get("/admin/runs/").status_code == 200


# Pace


def make_half_done(*, per_second: float, seconds: int, waiting: int) -> Run:
    now = database_now()
    run = make_run()
    Run.objects.filter(pk=run.pk).update(created_at=now - timedelta(seconds=seconds))
    schools = make_schools(int(per_second * seconds) + waiting)
    for number in range(int(per_second * seconds)):
        ended_at = now - timedelta(seconds=number / per_second + 0.01)
        make_fetch(
            schools.pop(), run, state=FetchState.SUCCEEDED, attempt=1, requests=2,
            claimed_at=ended_at, finished_at=ended_at,
        )  # fmt: skip
    SchoolFetch.objects.bulk_create(SchoolFetch(run=run, school=school) for school in schools)
    run.refresh_from_db()
    return run


def test_pace_is_that_of_late_and_tells_the_time_left() -> None:
    run = make_half_done(per_second=2, seconds=40, waiting=60)

    pace = read_pace(run, break_down(run.pk), now=database_now())

    assert pace.per_minute == pytest.approx(120, rel=0.1)
    assert pace.estimate is not None
    assert pace.estimate.seconds == pytest.approx(30, rel=0.15)


def test_levels_that_ask_for_more_weigh_more_as_the_run_before_tells() -> None:
    before = make_run(state=RunState.COMPLETED)
    for school in make_schools(6, first=5000):
        make_ended(school, before, requests=6 if school.level == Level.MIDDLE else 2)
    run = make_half_done(per_second=2, seconds=40, waiting=0)
    middle = [make_school(f"9{n:06}", level=Level.MIDDLE) for n in range(60)]
    SchoolFetch.objects.bulk_create(SchoolFetch(run=run, school=school) for school in middle)
    SchoolFetch.objects.filter(run=run, state="succeeded", school__level="middle").delete()

    pace = read_pace(run, break_down(run.pk), now=database_now())

    high_per_second = SchoolFetch.objects.filter(run=run, state="succeeded").count() / 40
    assert pace.estimate is not None
    assert pace.estimate.seconds == pytest.approx(3 * 60 / high_per_second, rel=0.2)


@pytest.mark.parametrize("state", [RunState.PAUSED, RunState.COMPLETED, RunState.CANCELLED])
def test_run_that_does_not_go_on_has_no_pace(state: RunState) -> None:
    run = make_half_done(per_second=2, seconds=20, waiting=5)
    run.state = state

    assert read_pace(run, break_down(run.pk), now=database_now()) == Pace()


# Filters


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("", "true"),
        ("state=failed", "item.state = 'failed'"),
        ("error=server_fault", "item.error_class = 'server_fault'"),
        ("office=B10", "school.office_id = 'B10'"),
        ("level=middle", "school.level = 'middle'"),
        ("retries=2", "item.attempt >= 3"),
        ("q=0000007", "school.code = '0000007'"),
        ("q=교 000001", "school.name LIKE '%%교 000001%%'"),
        ("state=failed&office=C10&retries=1", "item.state = 'failed' AND school.office_id = 'C10'"),
        ("state=nonsense&office=Z99", "true"),
    ],
    ids=str,
)
def test_fetches_are_filtered_as_sql_does(query: str, condition: str) -> None:
    run = make_mixed_run()

    rows = FetchFilters(QueryDict(query)).apply(SchoolFetch.objects.filter(run=run))

    expected = sql(
        f"""SELECT item.id FROM collection_schoolfetch AS item
              JOIN collection_school AS school ON school.id = item.school_id
             WHERE run_id = %s AND {condition} ORDER BY item.id""",
        run.pk,
    )
    assert list(rows.order_by("pk").values_list("pk")) == expected


def test_runs_are_filtered_by_job_state_trigger_and_korean_days() -> None:
    job = Job.objects.create(name="Every week")
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    early, late = make_run(job=job), make_run(state=RunState.PAUSED)
    Run.objects.filter(pk=early.pk).update(created_at=midnight - timedelta(seconds=1))
    Run.objects.filter(pk=late.pk).update(created_at=midnight, trigger=Trigger.RETRY)
    today, yesterday = midnight.date(), midnight.date() - timedelta(days=1)

    def found(query: str) -> list[Run]:
        return list(RunFilters(QueryDict(query)).apply(Run.objects.order_by("pk")))

    assert found(f"job={job.pk}") == [early]
    assert found("state=paused") == [late]
    assert found("trigger=retry") == [late]
    assert found(f"since={today}") == [late]
    assert found(f"until={yesterday}") == [early]
    assert found(f"since={yesterday}&until={today}") == [early, late]
    assert found("since=nonsense") == [early, late]


# One fetch


def test_fetch_page_shows_attempts_traceback_task_rejected_rows_and_neighbours(
    client: Client,
) -> None:
    user = log_in(client, *LOOK)
    school = make_school()
    earlier = make_ended(school, make_run())
    fetch = make_ended(school, make_run(), FetchState.FAILED, error="bug", attempts=2, rejected=1)
    later = make_ended(school, make_run())
    task = uuid4()
    Attempt.objects.filter(fetch=fetch, number=2).update(
        task_id=task, traceback="Traceback: boom", error_message="<b>boom</b>", error_code="X-1"
    )
    result = TaskResult.objects.create(task_id=str(task))
    RejectedRow.objects.create(fetch=fetch, reason="date", row={"ALL_TI_YMD": "nonsense"})

    response = client.get(f"/admin/fetches/{fetch.pk}/")

    text, page = text_of(response), response.content.decode()
    assert "Fault in the program X-1" in text
    assert "Traceback: boom" in text
    assert "&lt;b&gt;boom&lt;/b&gt;" in page
    assert "ALL_TI_YMD=nonsense" in text
    assert f"/admin/fetches/{earlier.pk}/" in page
    assert f"/admin/fetches/{later.pk}/" in page
    link = f"/admin/django_celery_results/taskresult/{result.pk}/change/"
    assert link not in page
    user.is_superuser = True
    user.save()
    assert link in client.get(f"/admin/fetches/{fetch.pk}/").content.decode()


# Speed


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_pages_ask_the_same_number_of_queries_whatever_they_show(client: Client) -> None:
    log_in(client, *LOOK, "operate_run")
    job = Job.objects.create(name="Every week")
    run = make_run(job=job)
    school = make_schools(1)[0]
    fetch = make_ended(school, run, FetchState.FAILED)
    paths = [
        "/admin/runs/rows/",
        f"/admin/runs/{run.pk}/",
        f"/admin/runs/{run.pk}/progress/",
        f"/admin/runs/{run.pk}/fetches/?state=failed",
        f"/admin/fetches/{fetch.pk}/",
    ]
    few = [queries_of(client, path) for path in paths]

    for other in make_schools(20, first=100):
        make_ended(other, run, FetchState.FAILED, attempts=3)
        make_ended(school, make_run(job=job), FetchState.HELD, attempts=2)
        make_run(job=job, retry_of=run)

    assert [queries_of(client, path) for path in paths] == few
    assert max(few) <= 30


# Who may


@pytest.mark.parametrize("path", ["/admin/runs/", "/admin/runs/{}/", "/admin/runs/{}/progress/"])
def test_nobody_logs_in_first_and_others_are_refused(client: Client, path: str) -> None:
    path = path.format(make_run().pk)
    assert client.get(path).status_code == 302
    log_in(client)
    assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    "path", ["/admin/runs/99/", "/admin/runs/99/progress/", "/admin/fetches/99/"]
)
def test_what_does_not_exist_is_not_found(client: Client, path: str) -> None:
    log_in(client, *LOOK)
    assert client.get(path).status_code == 404
