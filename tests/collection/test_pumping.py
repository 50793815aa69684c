"""From the ledger into the broker: enough, not too much, and nothing forgotten."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from collection import claiming, pumping
from collection.claiming import Failure
from collection.models import (
    ErrorClass,
    FetchState,
    Heartbeat,
    Level,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
)
from collection.pumping import Pumped
from collection.runs import pause
from tests.collection import ledger
from tests.collection.ledger import make_fetch, make_run, make_school, take

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    settings.PUBLISH_WINDOW = 100
    settings.REPUBLISH_SECONDS = 30
    settings.FETCH_MAX_FAILURES = 5


class Broker:
    """Where the messages go: `sent` are all of them, `queued` is what is said to wait."""

    def __init__(self, queued: int = 0) -> None:
        self.sent: list[tuple[int, str]] = []
        self.queued = queued
        self.asked = 0

    def publish(self, fetch_id: int, level: str) -> None:
        self.sent.append((fetch_id, level))

    def count(self) -> int:
        self.asked += 1
        return self.queued

    def pump(self) -> list[int]:
        """One stroke; returns what it published."""
        before = len(self.sent)
        pumped = pumping.pump(publish=self.publish, queued=self.count)
        published = [fetch_id for fetch_id, _ in self.sent[before:]]
        assert pumped.published == len(published)
        return published


def ago(**span: float) -> Any:
    return timezone.now() - timedelta(**span)


def make_fetches(count: int, run: Run | None = None, **columns: Any) -> list[int]:
    run = run or make_run()
    return [
        make_fetch(make_school(f"{run.pk}-{number}"), run, **columns).pk for number in range(count)
    ]


def test_every_fetch_is_published_once_to_its_level_when_there_is_room() -> None:
    run = make_run()
    levels = {make_fetch(make_school(level, level=level), run).pk: level.value for level in Level}
    broker = Broker()

    levels[SchoolFetch.objects.create(run=run).pk] = "list"

    assert sorted(broker.pump()) == sorted(levels)
    assert dict(broker.sent) == levels
    assert broker.pump() == []
    assert not SchoolFetch.objects.filter(published_at=None).exists()


def test_no_more_is_published_than_the_window_when_much_is_due(settings: Settings) -> None:
    settings.PUBLISH_WINDOW = 3
    fetches = make_fetches(7)
    broker = Broker()

    assert broker.pump() == fetches[:3]
    assert broker.pump() == []
    take(SchoolFetch.objects.get(pk=fetches[1]))
    assert broker.pump() == fetches[3:4]
    SchoolFetch.objects.filter(pk__in=fetches[:4]).update(state=FetchState.SUCCEEDED)
    assert broker.pump() == fetches[4:]


def test_paused_and_later_fetches_take_no_room_when_the_window_is_small(
    settings: Settings,
) -> None:
    settings.PUBLISH_WINDOW = 2
    make_fetches(5, make_run(state=RunState.PAUSED), published_at=ago(seconds=1))
    make_fetches(5, published_at=ago(seconds=1), next_attempt_at=ago(minutes=-2))
    due = make_fetches(5)

    assert Broker().pump() == due[:2]


@pytest.mark.parametrize(
    ("queued", "published", "again"),
    [
        pytest.param(0, {"seconds": 29}, False, id="a moment ago, empty queue"),
        pytest.param(0, {"seconds": 31}, True, id="overdue, empty queue"),
        pytest.param(1, {"seconds": 31}, False, id="overdue, messages wait"),
        pytest.param(1, {"seconds": 299}, False, id="long overdue, messages wait"),
        pytest.param(1, {"seconds": 301}, True, id="much later, messages wait"),
    ],
)
def test_published_fetch_is_published_again_or_not_when(
    queued: int, published: dict[str, float], again: bool
) -> None:
    fetches = make_fetches(2, published_at=ago(**published))
    broker = Broker(queued)

    assert broker.pump() == (fetches if again else [])
    assert broker.pump() == []


def test_no_more_than_the_window_is_published_again_when_the_broker_was_emptied(
    settings: Settings,
) -> None:
    settings.PUBLISH_WINDOW = 3
    make_fetches(5, published_at=ago(minutes=10))
    broker = Broker()

    assert len(broker.pump()) == 3
    assert broker.pump() == []


@pytest.mark.parametrize(
    ("columns", "published"),
    [
        pytest.param({"next_attempt_at": -60}, False, id="retry later"),
        pytest.param({"next_attempt_at": 1}, True, id="retry due"),
        pytest.param(
            {"next_attempt_at": 5, "published_at": 60}, False, id="retry's own message is due now"
        ),
        pytest.param(
            {"next_attempt_at": 31, "published_at": 60}, True, id="retry's own message was lost"
        ),
        pytest.param({"state": FetchState.RUNNING}, False, id="running"),
        pytest.param({"state": FetchState.SUCCEEDED}, False, id="over"),
        pytest.param({"state": FetchState.CANCELLED}, False, id="cancelled"),
    ],
)
def test_fetch_is_published_or_not_when(columns: dict[str, Any], published: bool) -> None:
    """Numbers are seconds ago."""
    columns = {
        name: ago(seconds=value) if isinstance(value, int) else value
        for name, value in columns.items()
    }
    # Another one that is due keeps the stroke from ending early.
    (due,) = make_fetches(1)
    (fetch,) = make_fetches(1, **columns)

    assert sorted(Broker().pump()) == ([due, fetch] if published else [due])


@pytest.mark.parametrize("state", [RunState.PAUSED, RunState.CANCELLED, RunState.COMPLETED])
def test_nothing_is_published_when_run_is(state: RunState) -> None:
    make_fetches(2, make_run(state=state))
    make_fetches(2, make_run(state=state), published_at=ago(hours=1))
    broker = Broker()

    assert broker.pump() == []
    assert broker.asked == 0


def test_fetches_go_on_in_the_same_stroke_when_the_pause_has_ended() -> None:
    run = make_run()
    fetches = make_fetches(2, run)
    pause(run.pk, reason=PauseReason.QUOTA)
    broker = Broker()
    assert broker.pump() == []
    Run.objects.update(paused_until=ago(seconds=1))

    assert pumping.pump(publish=broker.publish, queued=broker.count) == Pumped(2, 0, 1, 0)
    assert [fetch_id for fetch_id, _ in broker.sent] == fetches


def test_higher_priority_and_then_the_older_run_is_first_when_room_is_short(
    settings: Settings,
) -> None:
    settings.PUBLISH_WINDOW = 3
    later = make_fetches(2, make_run(priority=5))
    make_fetches(2, make_run(priority=5))
    first = make_fetches(2, make_run(priority=9))

    assert sorted(Broker().pump()) == sorted([*first, later[0]])


def test_no_more_of_a_run_are_published_or_running_than_it_allows() -> None:
    limited, other = make_run(most_at_once=3, priority=9), make_run()
    fetches, others = make_fetches(6, limited), make_fetches(4, other)
    broker = Broker()

    assert broker.pump() == sorted([*fetches[:3], *others])
    first, second = SchoolFetch.objects.filter(pk__in=fetches[:2])
    claim = take(first)
    take(second)
    assert broker.pump() == []
    SchoolFetch.objects.filter(pk=second.pk).update(state=FetchState.SUCCEEDED)
    assert broker.pump() == fetches[3:4]
    # One that is to be tried again soon has a message of its own.
    claiming.retry_later(
        claim,
        Failure(ErrorClass.TIMED_OUT, ""),
        after_seconds=60,
        counts=True,
        published=True,
    )
    assert broker.pump() == []


def test_no_more_are_published_again_than_a_run_allows_when_they_are_overdue() -> None:
    fetches = make_fetches(5, make_run(most_at_once=2), published_at=ago(minutes=10))
    broker = Broker()

    assert broker.pump() == fetches[:2]
    assert broker.pump() == []


def test_lost_fetch_is_published_again_in_the_same_stroke_when_its_lease_ended() -> None:
    (fetch,) = make_fetches(1)
    broker = Broker(queued=5)
    broker.pump()
    take(SchoolFetch.objects.get())
    SchoolFetch.objects.update(lease_until=ago(seconds=1))

    assert pumping.pump(publish=broker.publish, queued=broker.count) == Pumped(1, 1, 0, 0)
    assert [fetch_id for fetch_id, _ in broker.sent] == [fetch, fetch]


def test_run_ends_in_the_same_stroke_when_its_last_fetch_is_lost_for_good() -> None:
    make_fetches(1, failures=4)
    take(SchoolFetch.objects.get())
    SchoolFetch.objects.update(lease_until=ago(seconds=1))
    broker = Broker()

    assert pumping.pump(publish=broker.publish, queued=broker.count) == Pumped(0, 1, 0, 1)
    assert Run.objects.get().state == RunState.INCOMPLETE


def test_broker_is_left_alone_when_nothing_waits() -> None:
    make_fetches(1, state=FetchState.SUCCEEDED)
    broker = Broker()

    assert pumping.pump(publish=broker.publish, queued=broker.count) == Pumped(finished=1)
    assert broker.asked == 0


def test_unsent_fetches_are_published_when_overdue_after_the_broker_failed() -> None:
    fetches = make_fetches(4)
    sent: list[int] = []

    def publish(fetch_id: int, level: str) -> None:
        if len(sent) == 2:
            raise ConnectionError("the broker is away")
        sent.append(fetch_id)

    with pytest.raises(ConnectionError):
        pumping.pump(publish=publish, queued=lambda: 0)

    assert sent == fetches[:2]
    broker = Broker()
    assert broker.pump() == []
    SchoolFetch.objects.update(published_at=ago(seconds=31))
    assert broker.pump() == fetches


def test_nothing_is_marked_when_the_broker_cannot_be_counted() -> None:
    fetches = make_fetches(2)

    def away() -> int:
        raise ConnectionError("the broker is away")

    with pytest.raises(ConnectionError):
        pumping.pump(publish=Broker().publish, queued=away)

    assert Broker().pump() == fetches


def test_heartbeat_is_noted_when_it_has_a_name() -> None:
    Heartbeat.objects.create(name="scheduler", seen_at=ago(days=1))

    pumping.pump(publish=Broker().publish, queued=lambda: 0, heartbeat="scheduler")

    assert Heartbeat.objects.get().seen_at > ago(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_each_fetch_is_published_once_when_pumps_run_at_once(settings: Settings) -> None:
    settings.PUBLISH_WINDOW = 10
    fetches = make_fetches(30)
    brokers = [Broker() for _ in range(4)]

    for _ in range(4):
        ledger.at_once(lambda number: brokers[number].pump(), times=4)
        sent = [fetch_id for broker in brokers for fetch_id, _ in broker.sent]
        assert len(sent) == len(set(sent))
        waiting = SchoolFetch.objects.filter(state="waiting", published_at__isnull=False)
        assert waiting.count() <= 10
        waiting.update(state=FetchState.SUCCEEDED)

    assert sorted(sent) == fetches


@pytest.mark.django_db(transaction=True)
def test_pump_returns_at_once_when_another_is_at_work() -> None:
    make_fetches(3)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [pumping._LOCK_KEY])
        results = ledger.at_once(
            lambda _: pumping.pump(publish=Broker().publish, queued=lambda: 0), times=1
        )

    assert results == [Pumped()]


@pytest.mark.django_db(transaction=True)
def test_leases_are_taken_back_when_the_broker_is_away() -> None:
    (fetch_id,) = make_fetches(1)
    SchoolFetch.objects.update(
        state=FetchState.RUNNING, attempt=1, claimed_at=ago(), lease_until=ago(seconds=1)
    )

    def queued() -> int:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        pumping.pump(publish=Broker().publish, queued=queued)

    assert SchoolFetch.objects.get(pk=fetch_id).state == FetchState.WAITING


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_broker_is_asked() -> None:
    make_fetches(1)
    asked: list[bool] = []

    def queued() -> int:
        asked.append(connection.in_atomic_block)
        return 0

    pumping.pump(publish=Broker().publish, queued=queued)

    assert asked == [False]
