"""Held weeks: found, compared, and decided, as SQL and the stored weeks say afterwards."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse, QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from collection import held
from collection.models import HeldState, HeldWeek, Level, SchoolWeek, TimetableEntry
from dashboard.held import actions
from dashboard.held.filters import HeldFilters
from tests.collection.rows import MONDAY
from tests.dashboard.history import hold
from tests.dashboard.people import LOOK, OPERATE, log_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def operator(client: Client) -> User:
    return log_in(client, *OPERATE)


def act(client: Client, action: str, *rows: HeldWeek, **others: str) -> HttpResponse:
    data = {"action": action, "chosen": [row.pk for row in rows], "confirmed": "1", **others}
    return client.post("/admin/held/act/", data, follow=True)


def said(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def stored(week: HeldWeek) -> tuple[int, int]:
    """Entries as the table of weeks has them, and as they are."""
    of_week = TimetableEntry.objects.filter(school=week.school_id)
    return SchoolWeek.objects.get(school=week.school_id).entries, of_week.count()


def state_of(week: HeldWeek) -> str:
    week.refresh_from_db()
    return week.state


def text_of(response: HttpResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_list_shows_what_is_stored_and_what_came(client: Client, operator: User) -> None:
    week = hold("1", old=30, new=2)

    text = text_of(client.get("/admin/held/"))

    assert f"{week.school.name} 1" in text
    assert f"{MONDAY} hourglass_empty Waiting for a decision 30 2" in text
    assert "All 1" in text


def test_difference_names_the_lessons_that_go_and_come(client: Client, operator: User) -> None:
    week = hold("1", old=30, new=2)

    text = text_of(client.get(f"/admin/held/{week.pk}/difference/"))

    gone, come = storage_difference(week)
    assert f"{gone} lessons go, {come} come, 0 change." in text
    assert "과목 00029" in text


def storage_difference(week: HeldWeek) -> tuple[int, int]:
    """The new answer's lessons are the first of the stored ones."""
    return week.old_entries - week.new_entries, 0


def test_accepted_week_takes_the_place_of_the_stored_one(client: Client, operator: User) -> None:
    accepted, other = hold("1"), hold("2")

    answer = act(client, "accept", accepted)

    assert (stored(accepted), stored(other)) == ((2, 2), (30, 30))
    assert (state_of(accepted), state_of(other)) == ("accepted", "waiting")
    assert accepted.decided_by == operator
    assert said(answer) == ["1 held week accepted."]


def test_many_are_accepted_in_the_background(
    client: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST_AT_ONCE", 1)
    weeks = [hold("1"), hold("2")]

    answer = act(client, "accept", *weeks)

    assert "2 held weeks are accepted. They are stored in the background" in said(answer)[0]
    assert [stored(week) for week in weeks] == [(30, 30), (30, 30)]
    assert text_of(client.get("/admin/held/")).count("Being accepted") == 2
    assert said(act(client, "reject", *weeks)) == [
        "Nothing was changed: none of the chosen can be treated so."
    ]

    held.store_accepted(most_schools=9)

    assert [stored(week) for week in weeks] == [(2, 2), (2, 2)]
    assert [state_of(week) for week in weeks] == ["accepted", "accepted"]


def test_rejected_week_leaves_the_stored_one(client: Client, operator: User) -> None:
    week = hold("1")

    answer = act(client, "reject", week)

    assert stored(week) == (30, 30)
    assert state_of(week) == "rejected"
    assert said(answer) == ["1 held week rejected."]


def test_each_decision_is_logged_with_before_and_after(client: Client, operator: User) -> None:
    weeks = [hold("1"), hold("2")]

    act(client, "accept", *weeks)

    entries = LogEntry.objects.filter(user=operator)
    assert {entry.object_id for entry in entries} == {str(week.pk) for week in weeks}
    for entry in entries:
        assert '["state", "Waiting for a decision", "Accepted"]' in entry.change_message


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_decision_is_asked_about_first(client: Client, operator: User, action: str) -> None:
    week = hold("1")

    asked = act(client, action, week, confirmed="")

    assert "Go on?" in text_of(asked)
    assert state_of(week) == "waiting"


def test_everything_that_matches_is_decided_and_nothing_else(
    client: Client, operator: User
) -> None:
    here = [hold("1", office="B10"), hold("2", office="B10")]
    elsewhere = hold("3", office="C10")

    answer = act(client, "reject", matching="1", filters="office=B10")

    assert [state_of(week) for week in here] == ["rejected", "rejected"]
    assert state_of(elsewhere) == "waiting"
    assert said(answer) == ["2 held weeks rejected."]


def test_held_weeks_of_a_fetch_are_decided_from_its_page(client: Client, operator: User) -> None:
    week = hold("1")
    assert "Accept held weeks" in text_of(client.get(f"/admin/fetches/{week.fetch_id}/"))

    data = {"action": "accept", "chosen": week.fetch_id, "confirmed": "1"}
    client.post(f"/admin/runs/{week.fetch.run_id}/fetches/act/", data)

    assert state_of(week) == "accepted"
    assert stored(week) == (2, 2)


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", ["1", "2"]),
        ("office=C10", ["2"]),
        ("level=middle", ["2"]),
        ("q=1", ["1"]),
        (f"week={MONDAY + timedelta(days=3)}", ["1", "2"]),
        (f"week={MONDAY + timedelta(days=7)}", []),
        ("older_than=24", ["2"]),
        ("fall=75", ["1", "2"]),
        ("fall=100", ["2"]),
        ("state=rejected", ["3"]),
    ],
    ids=str,
)
def test_held_weeks_are_filtered(query: str, codes: list[str]) -> None:
    hold("1", new=2)
    old = hold("2", new=0, office="C10", level=Level.MIDDLE)
    HeldWeek.objects.filter(pk=old.pk).update(held_at=timezone.now() - timedelta(hours=25))
    HeldWeek.objects.filter(pk=hold("3").pk).update(state=HeldState.REJECTED)

    found = HeldFilters(QueryDict(query)).apply(HeldWeek.objects.order_by("pk"))

    assert list(found.values_list("school__code", flat=True)) == codes


def test_held_weeks_of_a_run_are_found_by_its_number() -> None:
    week, _other = hold("1"), hold("2")

    found = HeldFilters(QueryDict(f"run={week.fetch.run_id}")).apply(HeldWeek.objects.all())

    assert list(found) == [week]


def test_who_may_only_look_decides_nothing(client: Client) -> None:
    log_in(client, *LOOK, "operate_run")
    week = hold("1")

    assert act(client, "accept", week).status_code == 403
    data = {"action": "accept", "chosen": week.fetch_id, "confirmed": "1"}
    path = f"/admin/runs/{week.fetch.run_id}/fetches/act/"
    assert client.post(path, data).status_code == 403
    assert state_of(week) == "waiting"
    assert 'value="accept"' not in client.get("/admin/held/").content.decode()


def test_empty_list_says_what_would_stand_here(client: Client, operator: User) -> None:
    assert "No week waits for a decision." in text_of(client.get("/admin/held/"))
    assert "matches these filters" in text_of(client.get("/admin/held/?level=high"))


def test_list_asks_the_same_number_of_queries_whatever_is_held(
    client: Client, operator: User
) -> None:
    hold("1")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/admin/held/").status_code == 200
        return len(captured)

    few = queries()
    for number in range(2, 8):
        hold(str(number), office=f"X{number}")

    assert queries() == few
