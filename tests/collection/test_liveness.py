"""Whether collecting gets on, by what the ledger shows."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from collection import breaker, liveness, pumping, stopping
from collection.models import Attempt, FetchState, PumpState, Run, RunState, SchoolFetch
from tests.collection.ledger import make_fetch, make_run, make_school, take

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.FETCH_LEASE_SECONDS = 120


def ago(**span: float) -> Any:
    return timezone.now() - timedelta(**span)


def stand_still(*, minutes: float = 30) -> Run:
    """A run whose only fetch has been due for so long."""
    run = make_run()
    make_fetch(make_school(), run)
    Run.objects.update(created_at=ago(minutes=minutes))
    return run


def pump(**others: Any) -> None:
    pumping.pump(**{"publish": lambda fetch_id, level: None, "queued": lambda: 3, **others})


def test_it_is_told_since_when_nothing_moves_when_work_is_due() -> None:
    run = stand_still()

    assert liveness.stalled_since() == Run.objects.get(pk=run.pk).created_at


def test_nothing_stands_still_when_there_is_no_run() -> None:
    assert liveness.stalled_since() is None


@pytest.mark.parametrize("minutes", [0, 3.9])
def test_nothing_stands_still_when_it_is_less_than_two_leases(minutes: float) -> None:
    stand_still(minutes=minutes)

    assert liveness.stalled_since() is None


@pytest.mark.parametrize(
    "excuse",
    [
        pytest.param(lambda: stopping.stop(by=None), id="stopped"),
        pytest.param(lambda: breaker.hold(60), id="NEIS asks to be left alone"),
        pytest.param(lambda: Run.objects.update(state=RunState.PAUSED), id="paused"),
        pytest.param(
            lambda: SchoolFetch.objects.update(next_attempt_at=ago(minutes=-1)), id="not due yet"
        ),
        pytest.param(lambda: take(make_fetch(make_school("2"))), id="another was claimed"),
        pytest.param(lambda: PumpState.objects.create(idle_at=timezone.now()), id="idle just now"),
        pytest.param(
            lambda: Attempt.objects.create(
                fetch=make_fetch(make_school("2"), state=FetchState.FAILED),
                number=1,
                outcome="failed",
                started_at=ago(minutes=1),
                finished_at=ago(minutes=1),
            ),
            id="another has ended",
        ),
    ],
)
def test_nothing_stands_still_when(excuse: Any) -> None:
    stand_still()
    assert liveness.stalled_since() is not None
    excuse()

    assert liveness.stalled_since() is None


def test_pump_notes_the_queue_and_no_idleness_when_work_is_due() -> None:
    stand_still()
    pump()
    PumpState.objects.update(idle_at=ago(hours=1))

    pump()

    assert liveness.pump().queued == 3
    assert PumpState.objects.get().idle_at < ago(minutes=59)


def test_pump_notes_idleness_when_nothing_may_begin() -> None:
    stand_still()
    stopping.stop(by=None)
    PumpState.objects.create(idle_at=ago(hours=1), queued=9)

    pump()

    assert PumpState.objects.get().idle_at > ago(minutes=1)


def test_trouble_with_the_broker_is_noted_without_its_address_and_gone_when_it_is_back() -> None:
    stand_still()

    def away() -> int:
        raise ConnectionError("redis://:password@broker:6379 is away") from OSError("password")

    for _ in range(2):
        with pytest.raises(ConnectionError):
            pump(queued=away)

    told = liveness.pump()
    assert told.trouble == "ConnectionError: OSError"
    assert told.trouble_since is not None
    PumpState.objects.update(trouble_since=F("trouble_since") - timedelta(minutes=5))
    with pytest.raises(ConnectionError):
        pump(queued=away)
    assert liveness.pump().trouble_since == told.trouble_since - timedelta(minutes=5)
    pump()
    assert (liveness.pump().trouble, liveness.pump().trouble_since) == ("", None)
