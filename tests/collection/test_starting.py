"""Runs are begun: planned as a whole, and again for what failed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from pytest_django import Settings

from collection import partitions, starting
from collection.models import (
    Dataset,
    ErrorClass,
    FetchState,
    Job,
    Level,
    Run,
    RunState,
    School,
    SchoolFetch,
    Trigger,
)
from collection.planning import window
from collection.starting import NoSchools, Plan
from tests.collection import ledger
from tests.collection.ledger import make_fetch, make_run, make_school, with_fetches
from tests.collection.rows import MONDAY

NOW = datetime(2026, 6, 12, 3, tzinfo=UTC)
PLAN = Plan(first_monday=MONDAY, weeks=3)
WAITING, SUCCEEDED, EMPTY = FetchState.WAITING, FetchState.SUCCEEDED, FetchState.EMPTY
HELD, FAILED, CANCELLED = FetchState.HELD, FetchState.FAILED, FetchState.CANCELLED

pytestmark = pytest.mark.django_db


def start(plan: Plan = PLAN, **others: Any) -> Run:
    return starting.start(plan, trigger=Trigger.MANUAL, now=NOW, **others)


def make_schools() -> None:
    make_school("1", office="B10", level=Level.ELEMENTARY)
    make_school("2", office="B10", level=Level.HIGH)
    make_school("3", office="C10", level=Level.HIGH)
    make_school("4", office="C10", level=Level.SPECIAL)
    make_school("9", office="C10", level=Level.HIGH, closed_at=NOW)


# Planning


@pytest.mark.parametrize(
    ("selection", "codes"),
    [
        ({}, ["1", "2", "3", "4"]),
        ({"levels": ["high"]}, ["2", "3"]),
        ({"offices": ["B10"]}, ["1", "2"]),
        ({"levels": ["high", "special"], "offices": ["C10"]}, ["3", "4"]),
        ({"schools": ["3", "4", "9", "none"]}, ["3", "4"]),
    ],
    ids=str,
)
def test_each_open_school_has_one_waiting_fetch_when_selection_is(
    selection: dict[str, Any], codes: list[str]
) -> None:
    make_schools()

    run = start(Plan(first_monday=MONDAY, weeks=3, priority=7, **selection))

    fetches = run.fetches.order_by("school__code")
    assert list(fetches.values_list("school__code", flat=True)) == codes
    assert set(fetches.values_list("state", "attempt")) == {("waiting", 0)}
    assert (run.first_monday, run.weeks, run.priority) == (MONDAY, 3, 7)
    assert run.created_at == NOW
    assert set(window(MONDAY, 3)) <= partitions.existing()


@pytest.mark.parametrize("selection", [{"offices": ["Z99"]}, {"schools": ["9"]}], ids=str)
def test_there_is_no_run_when_no_school_matches(selection: dict[str, Any]) -> None:
    make_schools()

    with pytest.raises(NoSchools):
        start(Plan(first_monday=MONDAY, weeks=1, **selection))

    assert Run.objects.count() == 0


def test_there_is_no_run_when_its_fetches_cannot_be_written() -> None:
    make_schools()
    last = School.objects.get(code="3")
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE collection_schoolfetch ADD CONSTRAINT refuse CHECK (school_id <> %s)",
            [last.pk],
        )

    with pytest.raises(DatabaseError):
        start()

    assert (Run.objects.count(), SchoolFetch.objects.count()) == (0, 0)


def test_run_belongs_to_its_job_when_it_has_one() -> None:
    make_schools()
    job = Job.objects.create(name="every week")

    assert start(job=job).job == job


@pytest.mark.django_db(transaction=True)
def test_all_runs_are_planned_when_they_start_in_a_new_week_at_once() -> None:
    make_schools()
    plan = Plan(first_monday=MONDAY + timedelta(weeks=90), weeks=3)

    started = ledger.at_once(lambda _: start(plan).pk, times=4)

    assert len(set(started)) == 4
    assert SchoolFetch.objects.count() == 16


# Retries


@pytest.fixture
def key(settings: Settings) -> None:
    settings.NEIS_API_KEYS = ("key",)


def retry(**selection: Any) -> list[Run]:
    return starting.retry(SchoolFetch.objects.filter(**selection), now=NOW, started_by=None)


@pytest.mark.usefixtures("key")
def test_failed_fetches_alone_are_retried_and_once_when_a_run_is(admin_user: Any) -> None:
    job = Job.objects.create(name="job")
    run = make_run(job=job, weeks=2, priority=8, most_at_once=4, levels=["high"])
    with_fetches(run, FAILED, FAILED, SUCCEEDED, EMPTY, HELD, CANCELLED, WAITING)
    fetches = SchoolFetch.objects.filter(run=run)
    assert starting.retryable(fetches).count() == 2

    (again,) = starting.retry(fetches, now=NOW, started_by=admin_user)

    assert (again.job, again.retry_of, again.started_by) == (job, run, admin_user)
    assert (again.trigger, again.state) == (Trigger.RETRY, RunState.RUNNING)
    assert (again.first_monday, again.weeks, again.due_at) == (MONDAY, 2, None)
    assert (again.priority, again.most_at_once, again.levels) == (8, 4, ["high"])
    assert set(again.fetches.values_list("school", "state")) == {
        (fetch.school_id, WAITING) for fetch in fetches.filter(state=FAILED)
    }
    for fetch in fetches.select_related("retried_by"):
        by = fetch.retried_by
        assert (by and (by.run, by.school_id)) == (
            (again, fetch.school_id) if fetch.state == FAILED else None
        )
    assert starting.retry(fetches, now=NOW, started_by=None) == []


@pytest.mark.usefixtures("key")
def test_each_job_and_window_has_a_run_of_its_own_when_a_search_result_is_retried() -> None:
    job, school = Job.objects.create(name="job"), make_school()
    next_week = MONDAY + timedelta(weeks=1)
    first, second = make_run(job=job), make_run(job=job)
    later, of_nobody = make_run(job=job, first_monday=next_week), make_run()
    old = [
        make_fetch(school, run, state=FAILED, error_class=ErrorClass.TIMED_OUT)
        for run in (first, second, later, of_nobody)
    ]

    started = retry(error_class=ErrorClass.TIMED_OUT)

    assert {(run.job, run.first_monday, run.retry_of) for run in started} == {
        (job, MONDAY, second),
        (job, next_week, later),
        (None, MONDAY, of_nobody),
    }
    by = list(
        SchoolFetch.objects.filter(pk__in=[fetch.pk for fetch in old])
        .order_by("pk")
        .values_list("retried_by__run__retry_of", flat=True)
    )
    assert by == [second.pk, second.pk, later.pk, of_nobody.pk]
    assert [run.fetches.count() for run in started] == [1, 1, 1]


@pytest.mark.usefixtures("key")
def test_failed_school_list_is_retried() -> None:
    run = make_run(dataset=Dataset.SCHOOL_LIST, offices=["B10"])
    old = SchoolFetch.objects.create(run=run, state=FAILED)

    (again,) = retry(run=run)

    old.refresh_from_db()
    assert (again.dataset, again.offices) == (Dataset.SCHOOL_LIST, ["B10"])
    assert old.retried_by == again.fetches.get(school=None)


@pytest.mark.usefixtures("key")
@pytest.mark.django_db(transaction=True)
def test_fetches_are_retried_once_when_it_is_asked_for_many_times_at_once() -> None:
    run = make_run()
    with_fetches(run, *[FAILED] * 5)

    started = ledger.at_once(lambda _: len(retry(run=run)), times=6)

    assert sum(started) == 1
    assert SchoolFetch.objects.filter(state=WAITING).count() == 5


def test_nothing_is_retried_when_there_is_no_key(settings: Settings) -> None:
    settings.NEIS_API_KEYS = ()
    run = make_run()
    with_fetches(run, FAILED)

    with pytest.raises(starting.NoKey):
        retry(run=run)

    assert Run.objects.get() == run
