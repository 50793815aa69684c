"""Probes, figures and JSON for the programs that watch."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from collection import coverage
from collection.models import FetchState, Heartbeat, RunState, SchoolWeek
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.collection.rows import MONDAY
from tests.dashboard.history import make_ended

pytestmark = pytest.mark.django_db

TOKEN = "a-token"


@pytest.fixture
def program(settings: Any) -> Client:
    settings.API_TOKENS = ["another", TOKEN]
    return Client(headers={"Authorization": f"Bearer {TOKEN}"})


def test_alive_asks_nothing(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_ready_names_what_is_not_well(client: Client, settings: Any) -> None:
    well = {"database": True, "migrations": True, "broker": True, "scheduler": True}
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {**well, "scheduler": False})
    Heartbeat.objects.create(name="scheduler", seen_at=timezone.now())
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, well)
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {**well, "broker": False})


@pytest.mark.parametrize("path", ["/metrics", "/api/overview", "/api/runs", "/api/runs/1"])
def test_figures_are_refused_without_a_token(path: str, client: Client, settings: Any) -> None:
    for tokens in ([], [TOKEN]):
        settings.API_TOKENS = tokens
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer "}).status_code == 401


def test_metrics_are_those_of_the_ledger(
    program: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = make_run()
    for number, state in enumerate([FetchState.FAILED, FetchState.WAITING, FetchState.WAITING]):
        make_fetch(make_school(str(number)), run, state=state)
    make_fetch(make_school("old"), make_run(state=RunState.COMPLETED), state=FetchState.FAILED)
    Heartbeat.objects.create(name="scheduler", seen_at=timezone.now() - timedelta(seconds=90))
    with django_assert_max_num_queries(20):
        lines = program.get("/metrics").content.decode().splitlines()
    assert 'neis_runs_open{state="running"} 1.0' in lines
    assert 'neis_fetches{state="waiting"} 2.0' in lines
    assert 'neis_fetches{state="failed"} 1.0' in lines
    assert "neis_schools_open 4.0" in lines
    assert "neis_down 0.0" in lines
    assert "neis_stalled 0.0" in lines
    age = next(line for line in lines if line.startswith('neis_heartbeat_age_seconds{name="sch'))
    assert 90 <= float(age.split()[1]) < 100


def test_each_school_is_counted_once_however_many_weeks_are_stored(program: Client) -> None:
    now = timezone.now()
    for code, checked_at in (("1", now), ("2", now - timedelta(days=8))):
        school = make_school(code)
        for weeks in range(3):
            monday = MONDAY - timedelta(weeks=weeks)
            SchoolWeek.objects.create(
                school=school, monday=monday, digest=b"", entries=1, changed_at=checked_at,
                checked_at=checked_at,
            )  # fmt: skip
    make_school("3")
    coverage.refresh()

    lines = program.get("/metrics").content.decode().splitlines()

    assert "neis_schools_open 3.0" in lines
    assert "neis_schools_fresh 1.0" in lines


def test_attempts_of_the_last_minutes_are_counted(program: Client) -> None:
    run = make_run()
    now = timezone.now()
    make_ended(make_school("1"), run, FetchState.SUCCEEDED, attempts=3, ended_at=now)
    make_ended(make_school("2"), run, FetchState.FAILED, ended_at=now - timedelta(minutes=16))

    lines = program.get("/metrics").content.decode().splitlines()

    assert 'neis_failed_attempts_recent{error_class="timed_out"} 2.0' in lines
    assert "neis_request_seconds_recent_count 6.0" in lines
    assert "neis_request_seconds_recent_sum 6.0" in lines


def test_runs_are_paged_and_told_in_full(program: Client) -> None:
    runs = [make_run(state=RunState.COMPLETED) for _ in range(52)]
    make_fetch(make_school(), runs[-1], state=FetchState.SUCCEEDED, received=7, stored=7, attempt=2)
    first = program.get("/api/runs").json()
    second = program.get("/api/runs", {"before": first["next"]}).json()
    numbers = [run["run"] for page in (first, second) for run in page["runs"]]
    assert numbers == [run.pk for run in reversed(runs)]
    assert second["next"] is None
    told = program.get(f"/api/runs/{runs[-1].pk}").json()
    assert (told["fetches"], told["retries"]) == ({"succeeded": 1}, 1)
    assert told["entries"]["stored"] == 7
    assert program.get("/api/runs/999999").status_code == 404
    assert program.get("/api/runs", {"before": "x"}).status_code == 400
    assert program.post("/api/runs").status_code == 405
