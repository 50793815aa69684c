"""The breaker: what opens it, what it takes back, who may find out, what closes it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from collection import breaker, claiming, pumping
from collection.claiming import Claim, Failure
from collection.models import (
    Attempt,
    Breaker,
    ErrorClass,
    FetchState,
    Run,
    RunState,
    SchoolFetch,
    UpstreamState,
)
from tests.collection import ledger
from tests.collection.ledger import make_fetch, make_run, make_school, take

pytestmark = pytest.mark.django_db

FAULT = Failure(ErrorClass.SERVER_FAULT, "down", code="HTTP 503")


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.BREAKER_COOL_DOWN_SECONDS = 60.0
    settings.BREAKER_MOST_COOL_DOWN_SECONDS = 900.0
    settings.FETCH_MAX_FAILURES = 5


def ago(**span: float) -> Any:
    return timezone.now() - timedelta(**span)


def make_fetches(count: int, run: Run | None = None, **columns: Any) -> list[SchoolFetch]:
    run = run or make_run()
    return [make_fetch(make_school(f"{run.pk}-{n}"), run, **columns) for n in range(count)]


def fail_all(fetches: list[SchoolFetch], failure: Failure = FAULT) -> None:
    for fetch in fetches:
        claiming.retry_later(take(fetch), failure, after_seconds=0, counts=True, published=False)


def claim(fetch: SchoolFetch) -> Claim | None:
    return claiming.claim(fetch.pk, worker="w", task_id=None, lease_seconds=60)


def suspect() -> bool:
    return breaker.suspect(ErrorClass.SERVER_FAULT)


def let_cool_down_pass() -> None:
    UpstreamState.objects.update(probe_at=ago(hours=1))


def pump() -> list[int]:
    sent: list[int] = []
    pumping.pump(publish=lambda fetch_id, level: sent.append(fetch_id), queued=lambda: 0)
    return sent


def go_down(fetches: list[SchoolFetch]) -> None:
    fail_all(fetches)
    assert suspect()
    breaker.open_()


def test_one_caller_has_to_find_out_when_twenty_failed_in_a_row() -> None:
    fetches = make_fetches(21)
    fail_all(fetches[:19])
    assert not suspect()
    fail_all(fetches[19:20])

    assert [suspect(), suspect()] == [True, False]

    assert breaker.state().state == Breaker.HALF_OPEN
    assert claim(fetches[20]) is None


@pytest.mark.parametrize(
    "error_class",
    [ErrorClass.THROTTLED, ErrorClass.DATABASE, ErrorClass.BUG, ErrorClass.INCOMPLETE],
)
def test_nothing_is_suspected_when_failures_are_not_those_of_neis(error_class: ErrorClass) -> None:
    fail_all(make_fetches(25), Failure(error_class, ""))

    assert not suspect()


def test_nothing_is_suspected_when_the_faults_were_long_ago_or_before_the_last_answer() -> None:
    fetches = make_fetches(40)
    fail_all(fetches[:20])
    Attempt.objects.update(finished_at=ago(hours=1))
    assert not suspect()
    fail_all(fetches[20:])
    assert suspect()
    breaker.close()

    assert not suspect()


def test_failures_since_it_went_down_are_taken_back_when_it_opens() -> None:
    run = make_run()
    earlier, answered = make_fetches(2, run)
    fail_all([earlier])
    Attempt.objects.update(finished_at=ago(minutes=5))
    fail_all([answered])
    Attempt.objects.filter(fetch=answered).update(outcome="succeeded", finished_at=ago(minutes=4))
    failing = [make_fetch(make_school(f"f{n}"), run, failures=2) for n in range(19)]
    last_try = make_fetch(make_school("last"), run, failures=4)
    fail_all(failing)
    claiming.fail(take(last_try), FAULT)

    assert suspect()
    breaker.open_()

    for fetch in [earlier, last_try]:
        fetch.refresh_from_db()
    counted = SchoolFetch.objects.filter(pk__in=[f.pk for f in failing])
    assert set(counted.values_list("failures", "state")) == {(2, "waiting")}
    assert (last_try.failures, last_try.state) == (4, FetchState.WAITING)
    assert (last_try.finished_at, last_try.published_at) == (None, None)
    assert earlier.failures == 1
    outcomes = list(Attempt.objects.order_by("id").values_list("outcome", flat=True))
    assert outcomes == ["failed", "succeeded"] + ["postponed"] * 20


def test_fetch_stays_failed_when_it_failed_on_its_own_account_or_its_run_is_over() -> None:
    run, over = make_run(), make_run()
    wrong = make_fetch(make_school("wrong"), run)
    claiming.fail(take(wrong), Failure(ErrorClass.BAD_REQUEST, "no"))
    ended = make_fetch(make_school("ended"), over)
    claiming.fail(take(ended), FAULT)
    Run.objects.filter(pk=over.pk).update(state=RunState.INCOMPLETE, finished_at=timezone.now())

    go_down(make_fetches(20, run))

    assert {SchoolFetch.objects.get(pk=f.pk).state for f in (wrong, ended)} == {"failed"}


def test_nothing_is_taken_back_when_it_was_a_false_alarm() -> None:
    fail_all(fetches := make_fetches(20))
    assert suspect()

    breaker.close()

    assert breaker.lets_begin()
    assert set(SchoolFetch.objects.values_list("failures", flat=True)) == {1}
    assert claim(fetches[0]) is not None


def test_nothing_but_one_probe_is_published_and_claimed_while_it_is_down() -> None:
    fetches = make_fetches(22)
    go_down(fetches[:20])
    assert pump() == []
    assert claim(fetches[20]) is None
    let_cool_down_pass()

    (probe,) = pump()

    # One that has not failed yet tells the most.
    assert probe in {fetches[20].pk, fetches[21].pk}
    assert pump() == []
    others = [fetch for fetch in fetches if fetch.pk != probe]
    assert all(claim(fetch) is None for fetch in others)
    claimed = claim(SchoolFetch.objects.get(pk=probe))
    assert claimed is not None
    assert claimed.probe


def test_probe_is_a_fetch_in_backoff_when_nothing_else_waits() -> None:
    fetches = make_fetches(20, next_attempt_at=None)
    go_down(fetches)
    SchoolFetch.objects.update(next_attempt_at=ago(minutes=-10))
    let_cool_down_pass()

    (probe,) = pump()

    assert claim(SchoolFetch.objects.get(pk=probe)) is not None


def test_another_probe_follows_when_nobody_reported_on_the_first() -> None:
    go_down(make_fetches(20))
    let_cool_down_pass()
    assert len(pump()) == 1
    assert pump() == []
    let_cool_down_pass()

    assert len(pump()) == 1


def test_no_probe_is_sent_when_only_second_looks_are_left() -> None:
    go_down(make_fetches(20))
    SchoolFetch.objects.update(next_attempt_at=ago(minutes=-10), error_class="")
    let_cool_down_pass()

    assert pump() == []


@pytest.mark.parametrize("state", [RunState.PAUSED, RunState.CANCELLED])
def test_no_probe_is_sent_when_no_run_is_on(state: RunState) -> None:
    go_down(make_fetches(20))
    Run.objects.update(state=state)
    let_cool_down_pass()

    assert pump() == []
    assert breaker.state().state == Breaker.OPEN


def test_cool_down_doubles_to_a_quarter_of_an_hour_when_probes_fail() -> None:
    go_down(make_fetches(20))
    seconds = [breaker.state().cool_down_seconds]
    for _ in range(6):
        let_cool_down_pass()
        pump()
        breaker.open_()
        seconds.append(breaker.state().cool_down_seconds)

    assert seconds == [60, 120, 240, 480, 900, 900, 900]
    state = breaker.state()
    assert state.probe_at is not None
    assert state.since is not None
    assert state.probe_at - state.since == timedelta(seconds=900)
    assert state.down_since is not None


def test_all_goes_on_at_once_when_it_closes() -> None:
    fetches = make_fetches(22)
    assert len(pump()) == 22
    go_down(fetches[:20])
    let_cool_down_pass()
    (probe,) = pump()
    breaker.close()

    # Those published before were turned away; the probe is being worked on.
    assert set(pump()) >= {fetch.pk for fetch in fetches} - {probe}
    assert (breaker.state().down_since, breaker.state().probe_id) == (None, None)


def test_failure_noted_as_it_opened_is_taken_back_when_it_closes() -> None:
    fetches = make_fetches(21)
    late = take(fetches[20])
    go_down(fetches[:20])
    claiming.retry_later(late, FAULT, after_seconds=0, counts=True, published=False)

    let_cool_down_pass()
    pump()
    breaker.close()

    assert set(SchoolFetch.objects.values_list("failures", flat=True)) == {0}


@pytest.mark.parametrize(
    ("claimed", "closed", "down"),
    [
        pytest.param({"minutes": 2}, None, False, id="never down"),
        pytest.param({"minutes": 2}, {"minutes": 1}, True, id="begun before it was over"),
        pytest.param({"minutes": 2}, {"minutes": 3}, False, id="begun after"),
    ],
)
def test_attempt_belongs_to_an_outage_or_not_when(
    claimed: dict[str, float], closed: dict[str, float] | None, down: bool
) -> None:
    (fetch,) = make_fetches(1)
    take(fetch)
    SchoolFetch.objects.update(claimed_at=ago(**claimed))
    if closed:
        UpstreamState.objects.create(since=ago(**closed))

    assert breaker.was_down_during(fetch.pk) is down
    UpstreamState.objects.update_or_create(pk=1, defaults={"state": Breaker.OPEN})
    assert breaker.was_down_during(fetch.pk)


@pytest.mark.django_db(transaction=True)
def test_one_caller_finds_out_when_many_fail_at_once() -> None:
    fail_all(make_fetches(20))

    assert sum(ledger.at_once(lambda _: suspect(), times=4)) == 1


# Leaving NEIS alone


def test_nothing_is_published_or_claimed_when_neis_asks_to_be_left_alone() -> None:
    first, second = make_fetches(2)
    breaker.hold(30)

    assert 29 < breaker.held_seconds() <= 30
    assert pump() == []
    assert claim(first) is None
    UpstreamState.objects.update(not_before=ago(hours=1))
    assert breaker.held_seconds() == 0
    assert pump() == [first.pk, second.pk]
    assert claim(first) is not None


def test_the_longest_wait_holds_when_several_are_asked_for() -> None:
    breaker.hold(60)
    breaker.hold(5)

    assert breaker.held_seconds() > 55


def test_messages_turned_away_are_sent_again_at_once_when_the_wait_is_over() -> None:
    (fetch,) = make_fetches(1)
    assert pump() == [fetch.pk]
    breaker.hold(30)
    UpstreamState.objects.update(not_before=F("not_before") - timedelta(seconds=30))

    assert pump() == [fetch.pk]
