"""The switch that stops all collecting."""

import pytest
from django.contrib.auth.models import User

from collection import claiming, pumping, stopping
from collection.models import FetchState, SchoolFetch, StopSwitch
from tests.collection.ledger import make_fetch, make_run, make_school, take

pytestmark = pytest.mark.django_db


def pump() -> list[int]:
    sent: list[int] = []
    pumping.pump(publish=lambda fetch_id, level: sent.append(fetch_id), queued=lambda: 0)
    return sent


def test_nothing_begins_and_what_is_under_way_ends_when_it_is_on() -> None:
    run = make_run()
    under_way, waits = (make_fetch(make_school(code), run) for code in "12")
    claim = take(under_way)
    operator = User.objects.create(username="operator")

    assert stopping.stopped_since() is None
    assert stopping.stop(by=operator)

    assert stopping.stopped_since() is not None
    assert pump() == []
    assert claiming.claim(waits.pk, worker="w", task_id=None, lease_seconds=60) is None
    failure = claiming.Failure(claiming.ErrorClass.TIMED_OUT, "")
    assert claiming.fail(claim, failure)
    assert SchoolFetch.objects.get(pk=under_way.pk).state == FetchState.FAILED
    assert StopSwitch.objects.get().stopped_by == operator


def test_all_goes_on_at_once_when_it_is_off_again() -> None:
    fetch = make_fetch()
    assert pump() == [fetch.pk]
    stopping.stop(by=None)
    operator = User.objects.create(username="operator")

    assert stopping.go_on(by=operator)

    # Its message was turned away by the claim.
    assert pump() == [fetch.pk]
    assert take(fetch)
    switch = StopSwitch.objects.get()
    assert (switch.stopped_at, switch.stopped_by, switch.resumed_by) == (None, None, operator)


def test_one_of_two_says_it_did_it_when_both_do() -> None:
    assert not stopping.go_on(by=None)
    assert [stopping.stop(by=None), stopping.stop(by=None)] == [True, False]
    assert [stopping.go_on(by=None), stopping.go_on(by=None)] == [True, False]
