"""What operators do to runs and fetches: through the pages, to the rows, into the log."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from collection.models import FetchState, Run, RunState, SchoolFetch, Trigger
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.dashboard.history import make_ended
from tests.dashboard.people import LOOK, OPERATE, log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _with_key_and_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    settings.NEIS_API_KEYS = ("a-key",)


@pytest.fixture
def operator(client: Client) -> User:
    return log_in(client, *OPERATE)


def act(client: Client, where: str, action: str, *rows: Any, **others: str) -> HttpResponse:
    """Follows to the page that the action leads back to."""
    data = {"action": action, "chosen": [row.pk for row in rows], **others}
    return client.post(f"/admin/{where}act/", data, follow=True)


def said(response: HttpResponse) -> list[str]:
    messages = response.context["messages"]
    return [re.sub(r"<[^>]+>", "", str(message)) for message in messages]


def state_of(run: Run) -> tuple[str, str]:
    run.refresh_from_db()
    return run.state, run.pause_reason


def logged() -> list[tuple[str, str, list[Any]]]:
    """What was touched, by whom, and the values before and after."""
    entries = LogEntry.objects.order_by("pk")
    return [
        (
            entry.object_repr,
            entry.user.username,
            re.findall(r'"values": (.*)}', entry.change_message),
        )
        for entry in entries
    ]


def make_failed(run: Run, *codes: str, error: str = "") -> list[SchoolFetch]:
    return [make_ended(make_school(code), run, FetchState.FAILED, error=error) for code in codes]


# Pause, resume, cancel


def test_one_run_is_paused_and_resumed_at_once(client: Client, operator: User) -> None:
    run = make_run()

    paused = act(client, "runs/", "pause", run)
    assert state_of(run) == ("paused", "operator")
    resumed = act(client, "runs/", "resume", run)
    assert state_of(run) == ("running", "")

    assert said(paused) == [f"1 run paused: #{run.pk}"]
    assert said(resumed) == [f"1 run resumed: #{run.pk}"]
    assert logged() == [
        (f"#{run.pk}", "somebody", ['[["state", "Running", "Paused"]]']),
        (f"#{run.pk}", "somebody", ['[["state", "Paused", "Running"]]']),
    ]


def test_cancelling_asks_first_and_ends_every_open_fetch(client: Client, operator: User) -> None:
    run = make_run()
    done = make_ended(make_school("1"), run)
    waiting = [make_fetch(make_school(code), run) for code in ("2", "3")]

    asked = act(client, "runs/", "cancel", run)
    assert "can&#x27;t be taken up again" in asked.content.decode()
    assert state_of(run) == ("running", "")
    answer = act(client, "runs/", "cancel", run, confirmed="1")

    assert state_of(run) == ("cancelled", "")
    states = run.fetches.order_by("pk").values_list("pk", "state")
    assert list(states) == [(done.pk, "succeeded"), *((f.pk, "cancelled") for f in waiting)]
    assert said(answer) == [f"1 run cancelled, 2 schools are not collected any more: #{run.pk}"]
    assert logged()[0][2] == ['[["state", "Running", "Cancelled"], ["open schools", "2", "0"]]']


def test_action_leaves_out_runs_that_it_makes_no_sense_for(client: Client, operator: User) -> None:
    running, ended = make_run(), make_run(state=RunState.COMPLETED)

    answer = act(client, "runs/", "pause", running, ended, confirmed="1")
    nothing = act(client, "runs/", "pause", ended)

    assert said(answer) == [f"1 run paused: #{running.pk}"]
    assert state_of(ended) == ("completed", "")
    assert said(nothing) == ["Nothing was changed: none of the chosen can be treated so."]


def test_several_runs_are_asked_about_by_their_number(client: Client, operator: User) -> None:
    several = [make_run() for _ in range(3)]

    asked = act(client, "runs/", "pause", *several)
    assert "Pause: 3. Go on?" in asked.content.decode()
    assert {state_of(run)[0] for run in several} == {"running"}
    act(client, "runs/", "pause", *several, confirmed="1")

    assert {state_of(run)[0] for run in several} == {"paused"}


def test_everything_that_matches_is_touched_and_nothing_else(
    client: Client, operator: User
) -> None:
    matching = [make_run(), make_run()]
    Run.objects.update(trigger=Trigger.SCHEDULE)
    other = make_run()

    act(client, "runs/", "pause", matching="1", filters="trigger=schedule", confirmed="1")

    assert {state_of(run)[0] for run in matching} == {"paused"}
    assert state_of(other)[0] == "running"


# Retry


def test_failed_of_a_run_are_retried_in_a_run_that_is_linked_to(
    client: Client, operator: User
) -> None:
    run = make_run(state=RunState.INCOMPLETE)
    failed = make_failed(run, "1", "2")
    make_ended(make_school("3"), run)

    answer = act(client, "runs/", "retry", run)

    retry = Run.objects.latest("pk")
    assert (retry.trigger, retry.retry_of, retry.started_by) == ("retry", run, operator)
    assert set(retry.fetches.values_list("school__code", flat=True)) == {"1", "2"}
    assert said(answer) == [f"2 schools are tried again: #{retry.pk}"]
    assert f"/admin/runs/{retry.pk}/" in answer.content.decode()
    assert logged()[0][2] == [
        f'[["failed schools", "2", "0"], ["retried by run", "", "#{retry.pk}"]]'
    ]
    assert SchoolFetch.objects.filter(pk__in=[f.pk for f in failed], retried_by=None).count() == 0


def test_one_school_is_retried_without_a_question(client: Client, operator: User) -> None:
    run = make_run(state=RunState.INCOMPLETE)
    first, second = make_failed(run, "1", "2")

    act(client, f"runs/{run.pk}/fetches/", "retry", first)

    first.refresh_from_db()
    second.refresh_from_db()
    assert first.retried_by is not None
    assert second.retried_by is None


def test_a_class_of_error_is_retried_as_the_filter_has_it(client: Client, operator: User) -> None:
    run = make_run(state=RunState.INCOMPLETE)
    wanted = make_failed(run, "1", "2", error="server_fault")
    make_failed(run, "3", error="timed_out")
    make_failed(make_run(state=RunState.INCOMPLETE), "4", error="server_fault")
    what = {"matching": "1", "filters": "error=server_fault"}

    asked = act(client, f"runs/{run.pk}/fetches/", "retry", **what)
    assert "Retry: 2. Go on?" in asked.content.decode()
    assert Run.objects.filter(trigger=Trigger.RETRY).count() == 0
    act(client, f"runs/{run.pk}/fetches/", "retry", confirmed="1", **what)

    retried = SchoolFetch.objects.filter(retried_by__isnull=False)
    assert set(retried) == set(wanted)


def test_fetch_of_another_run_is_not_retried_from_here(client: Client, operator: User) -> None:
    run, other = make_run(), make_run(state=RunState.INCOMPLETE)
    (foreign,) = make_failed(other, "1")

    act(client, f"runs/{run.pk}/fetches/", "retry", foreign)

    assert Run.objects.filter(trigger=Trigger.RETRY).count() == 0


def test_retry_without_a_key_is_refused_in_words(
    client: Client, operator: User, settings: Any
) -> None:
    settings.NEIS_API_KEYS = ()
    run = make_run(state=RunState.INCOMPLETE)
    make_failed(run, "1")

    answer = act(client, "runs/", "retry", run)

    assert said(answer) == ["There is no API key: set NEIS_API_KEYS."]
    assert logged() == []


# Who may, and what can't be sent


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_who_may_only_look_changes_nothing(client: Client, action: str) -> None:
    log_in(client, *LOOK, "decide_heldweek")
    run = make_run(state=RunState.PAUSED if action == "resume" else RunState.RUNNING)
    before = state_of(run)

    assert act(client, "runs/", action, run, confirmed="1").status_code == 403
    assert state_of(run) == before
    page = client.get("/admin/runs/").content.decode()
    assert 'value="cancel"' not in page


@pytest.mark.parametrize("permissions", [LOOK, (*LOOK, "decide_heldweek")], ids=["look", "decide"])
def test_retry_of_a_fetch_needs_the_permission_to_operate(
    client: Client, permissions: tuple[str, ...]
) -> None:
    log_in(client, *permissions)
    run = make_run(state=RunState.INCOMPLETE)
    (failed,) = make_failed(run, "1")

    answer = act(client, f"runs/{run.pk}/fetches/", "retry", failed, confirmed="1")

    assert answer.status_code == 403
    assert Run.objects.count() == 1


def test_actions_are_posted(client: Client, operator: User) -> None:
    assert client.get("/admin/runs/act/").status_code == 405
    assert client.get(f"/admin/runs/{make_run().pk}/fetches/act/").status_code == 405


def test_actions_need_the_token_of_the_form() -> None:
    client = Client(enforce_csrf_checks=True)
    log_in(client, *OPERATE)
    run = make_run()

    assert act(client, "runs/", "pause", run).status_code == 403
    assert state_of(run) == ("running", "")


@pytest.mark.parametrize(
    "data", [{"action": "delete"}, {}, {"action": "pause", "chosen": "1 OR 1"}], ids=str
)
def test_nonsense_is_a_bad_request(client: Client, operator: User, data: dict[str, str]) -> None:
    assert client.post("/admin/runs/act/", data).status_code == 400


@pytest.mark.parametrize("back", ["https://example.invalid/", "//example.invalid", "javascript:1"])
def test_way_back_leads_to_no_other_site(client: Client, operator: User, back: str) -> None:
    data = {"action": "pause", "chosen": make_run().pk, "back": back}

    assert client.post("/admin/runs/act/", data).headers["Location"] == "/admin/runs/"
