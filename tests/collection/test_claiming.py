"""Who works on a fetch: one at a time, and never one that was taken for dead."""

from contextlib import closing, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.utils import timezone

from collection import claiming
from collection.claiming import Claim, Failure
from collection.models import (
    Attempt,
    AttemptOutcome,
    ErrorClass,
    FetchState,
    RunState,
    SchoolFetch,
)
from collection.own_connection import unpooled
from tests.collection import ledger
from tests.collection.ledger import make_fetch, make_run, make_school, take
from tests.collection.rows import MONDAY
from tests.e2e.stack import wait_until

pytestmark = pytest.mark.django_db

TIMED_OUT = Failure(ErrorClass.TIMED_OUT, "no answer", code="HTTP 504", requests=2)


def claim_now(fetch_id: int) -> Claim | None:
    return claiming.claim(fetch_id, worker="worker@here", task_id=None, lease_seconds=60)


def ago(**span: float) -> Any:
    return timezone.now() - timedelta(**span)


def let_lease_end(fetch: SchoolFetch) -> None:
    SchoolFetch.objects.filter(pk=fetch.pk).update(lease_until=ago(seconds=1))


def test_claim_tells_what_is_to_be_done_when_fetch_waits() -> None:
    school = make_school(services=["misTimetable", "elsTimetable"])
    fetch = make_fetch(school, make_run(weeks=3), failures=2, attempt=4)
    task_id = uuid4()

    claim = claiming.claim(fetch.pk, worker="w" * 300, task_id=task_id, lease_seconds=120)

    assert claim == Claim(
        fetch_id=fetch.pk,
        attempt=5,
        failures=2,
        run_id=fetch.run_id,
        school_id=school.pk,
        office_code="B10",
        school_code="7010118",
        services=["misTimetable", "elsTimetable"],
        mondays=[MONDAY, MONDAY + timedelta(weeks=1), MONDAY + timedelta(weeks=2)],
    )
    fetch.refresh_from_db()
    assert (fetch.state, fetch.attempt, fetch.task_id) == (FetchState.RUNNING, 5, task_id)
    assert fetch.worker == "w" * 100
    assert fetch.claimed_at is not None
    assert fetch.lease_until is not None
    assert fetch.lease_until - fetch.claimed_at == timedelta(seconds=120)


@pytest.mark.parametrize(
    ("of_fetch", "of_run"),
    [
        pytest.param({"state": FetchState.RUNNING}, {}, id="running already"),
        pytest.param({"state": FetchState.SUCCEEDED}, {}, id="succeeded"),
        pytest.param({"state": FetchState.EMPTY}, {}, id="empty"),
        pytest.param({"state": FetchState.HELD}, {}, id="held"),
        pytest.param({"state": FetchState.FAILED}, {}, id="failed"),
        pytest.param({"state": FetchState.CANCELLED}, {}, id="cancelled"),
        pytest.param({"next_attempt_at": ago(minutes=-5)}, {}, id="early"),
        pytest.param({}, {"state": RunState.PAUSED}, id="run paused"),
        pytest.param({}, {"state": RunState.CANCELLED}, id="run cancelled"),
        pytest.param({}, {"state": RunState.COMPLETED}, id="run over"),
    ],
)
def test_nothing_is_claimed_or_changed_when_fetch_is(
    of_fetch: dict[str, Any], of_run: dict[str, Any]
) -> None:
    fetch = make_fetch(run=make_run(**of_run), **of_fetch)
    before = SchoolFetch.objects.values().get()

    assert claim_now(fetch.pk) is None

    assert SchoolFetch.objects.values().get() == before


def test_nothing_is_claimed_when_there_is_no_such_fetch() -> None:
    assert claim_now(2**40) is None


def test_fetch_is_claimed_when_its_time_has_come() -> None:
    assert claim_now(make_fetch(next_attempt_at=ago(seconds=1)).pk) is not None


def test_second_message_claims_nothing_when_the_first_did() -> None:
    fetch = make_fetch()

    assert claim_now(fetch.pk) is not None
    assert claim_now(fetch.pk) is None


@pytest.mark.django_db(transaction=True)
def test_one_claim_wins_when_workers_race() -> None:
    fetches = [make_fetch(make_school(str(number)), make_run()) for number in range(10)]

    claims = ledger.at_once(lambda _: [claim_now(fetch.pk) for fetch in fetches], times=4)

    for fetch, tries in zip(fetches, zip(*claims, strict=True), strict=True):
        assert [claim.attempt for claim in tries if claim] == [1]
        fetch.refresh_from_db()
        assert (fetch.state, fetch.attempt) == (FetchState.RUNNING, 1)


# Ends of attempts


@pytest.mark.parametrize(
    ("counts", "outcome", "failures"),
    [(True, AttemptOutcome.FAILED, 4), (False, AttemptOutcome.POSTPONED, 3)],
)
def test_fetch_waits_for_its_next_attempt_when_it_is_to_be_tried_again(
    counts: bool, outcome: AttemptOutcome, failures: int
) -> None:
    fetch = make_fetch(failures=3, requests=1)
    claim = take(fetch)

    assert claiming.retry_later(claim, TIMED_OUT, after_seconds=40, counts=counts, published=False)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.failures, fetch.requests) == (FetchState.WAITING, failures, 3)
    assert (fetch.lease_until, fetch.published_at, fetch.finished_at) == (None, None, None)
    assert (fetch.error_class, fetch.error_code) == ("timed_out", "HTTP 504")
    assert fetch.next_attempt_at is not None
    assert timedelta(seconds=30) < fetch.next_attempt_at - timezone.now() <= timedelta(seconds=40)
    assert claim_now(fetch.pk) is None
    attempt = Attempt.objects.get()
    assert (attempt.number, attempt.outcome, attempt.requests) == (1, outcome, 2)
    assert (attempt.error_class, attempt.error_message) == ("timed_out", "no answer")
    assert attempt.worker == "worker@here"


def test_message_is_noted_when_it_is_on_its_way() -> None:
    fetch = make_fetch()

    claiming.retry_later(take(fetch), TIMED_OUT, after_seconds=0, counts=True, published=True)

    fetch.refresh_from_db()
    assert fetch.published_at is not None


def test_fetch_is_over_when_it_fails() -> None:
    fetch = make_fetch()

    assert claiming.fail(take(fetch), TIMED_OUT)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.failures) == (FetchState.FAILED, 1)
    assert fetch.finished_at is not None
    assert Attempt.objects.get().outcome == AttemptOutcome.FAILED
    assert claim_now(fetch.pk) is None


def test_long_code_is_cut_when_an_answer_has_one() -> None:
    fetch = make_fetch()

    assert claiming.fail(take(fetch), Failure(ErrorClass.TRANSIENT, "?", code="E" * 500))

    fetch.refresh_from_db()
    assert fetch.error_code == "E" * 20


def end(claim: Claim) -> bool:
    return claiming.retry_later(claim, TIMED_OUT, after_seconds=0, counts=True, published=True)


def give_up(claim: Claim) -> bool:
    return claiming.fail(claim, TIMED_OUT)


@pytest.mark.parametrize("act", [end, give_up])
@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"attempt": 2}, id="another has it"),
        pytest.param({"state": FetchState.WAITING}, id="taken back"),
        pytest.param({"state": FetchState.CANCELLED}, id="cancelled"),
        pytest.param({"state": FetchState.SUCCEEDED}, id="stored"),
    ],
)
def test_nothing_is_written_when_the_claim_is_lost(act: Any, columns: dict[str, Any]) -> None:
    claim = take(make_fetch())
    SchoolFetch.objects.update(**columns)
    before = SchoolFetch.objects.values().get()

    assert act(claim) is False

    assert SchoolFetch.objects.values().get() == before
    assert Attempt.objects.count() == 0


# Leases


def test_fetch_waits_again_when_its_lease_has_ended() -> None:
    fetch = make_fetch(published_at=ago(minutes=3))
    claim = take(fetch)
    let_lease_end(fetch)

    assert claiming.expire_leases(most_failures=5) == 1

    fetch.refresh_from_db()
    assert (fetch.state, fetch.failures, fetch.attempt) == (FetchState.WAITING, 1, 1)
    assert (fetch.published_at, fetch.lease_until, fetch.error_class) == (None, None, "lost")
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.number) == (AttemptOutcome.LOST, 1)
    assert (attempt.worker, attempt.error_class) == ("worker@here", "lost")
    assert end(claim) is False
    again = take(fetch)
    assert again.attempt == 2
    assert end(claim) is False
    assert end(again) is True


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"state": FetchState.RUNNING, "lease_until": ago(hours=-1)}, id="in time"),
        pytest.param({"state": FetchState.WAITING, "lease_until": None}, id="waiting"),
        pytest.param(
            {"state": FetchState.CANCELLED, "lease_until": ago(minutes=5)}, id="cancelled"
        ),
    ],
)
def test_no_fetch_is_taken_back_when_it_is(columns: dict[str, Any]) -> None:
    make_fetch(**columns)

    assert claiming.expire_leases(most_failures=5) == 0

    assert Attempt.objects.count() == 0


@pytest.mark.parametrize(
    ("failures", "state"), [(3, FetchState.WAITING), (4, FetchState.FAILED), (9, FetchState.FAILED)]
)
def test_fetch_of_lost_workers_ends_when_it_reaches_the_cap(
    failures: int, state: FetchState
) -> None:
    fetch = make_fetch(failures=failures)
    take(fetch)
    let_lease_end(fetch)

    claiming.expire_leases(most_failures=5)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.failures) == (state, failures + 1)
    assert (fetch.finished_at is not None) is (state is FetchState.FAILED)


def lose(fetch: SchoolFetch) -> None:
    take(SchoolFetch.objects.get(pk=fetch.pk))
    let_lease_end(fetch)
    claiming.expire_leases(most_failures=5)


def test_fetches_begin_apart_when_their_worker_was_lost_again() -> None:
    fetches = [make_fetch(make_school(str(number)), failures=2) for number in range(8)]
    for fetch in fetches:
        take(fetch)
    SchoolFetch.objects.update(claimed_at=ago(seconds=61), lease_until=ago(seconds=1))

    assert claiming.expire_leases(most_failures=5) == 8

    waits = {fetch.next_attempt_at for fetch in SchoolFetch.objects.all()}
    assert len(waits) == 8
    assert all(ago(seconds=5) < at < ago(seconds=-2 * 60) for at in waits if at)


def test_fetch_is_crashed_after_the_cap_when_every_worker_was_lost_over_it() -> None:
    fetch = make_fetch()

    for _ in range(4):
        lose(fetch)
        fetch.refresh_from_db()
        assert (fetch.state, fetch.error_class) == (FetchState.WAITING, ErrorClass.LOST)
    lose(fetch)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.error_class) == (FetchState.FAILED, ErrorClass.CRASHED)
    assert Attempt.objects.count() == 5


def test_fetch_is_not_crashed_when_one_of_its_workers_came_back() -> None:
    fetch = make_fetch()
    claiming.retry_later(take(fetch), TIMED_OUT, after_seconds=0, counts=True, published=False)

    for _ in range(4):
        lose(fetch)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.error_class) == (FetchState.FAILED, ErrorClass.LOST)


@pytest.mark.django_db(transaction=True)
def test_each_lost_attempt_is_noted_once_when_two_look_at_once() -> None:
    for number in range(40):
        fetch = make_fetch(make_school(str(number)), make_run())
        take(fetch)
        let_lease_end(fetch)

    counts = ledger.at_once(lambda _: claiming.expire_leases(most_failures=5), times=4)

    assert sum(counts) == Attempt.objects.count() == 40
    assert set(SchoolFetch.objects.values_list("failures", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_attempt_ends_once_when_the_lease_ends_as_the_worker_reports() -> None:
    fetches = [make_fetch(make_school(str(number)), make_run()) for number in range(20)]
    claims = [take(fetch) for fetch in fetches]
    for fetch in fetches:
        let_lease_end(fetch)

    def act(number: int) -> int:
        if number:
            return claiming.expire_leases(most_failures=5)
        return sum(end(claim) for claim in claims)

    counts = ledger.at_once(act, times=2)

    # A fetch locked by the one is left by the other; nothing is counted twice.
    assert sum(counts) == Attempt.objects.count() <= 20
    assert sum(counts) + SchoolFetch.objects.filter(state="running").count() == 20
    assert set(SchoolFetch.objects.values_list("failures", flat=True)) <= {0, 1}


@pytest.mark.django_db(transaction=True)
def test_fetch_is_free_again_when_its_worker_stands_in_the_middle_of_a_copy() -> None:
    fetch = make_fetch()
    take(fetch)
    let_lease_end(fetch)
    stopped = unpooled()
    with closing(stopped), stopped.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM collection_schoolfetch WHERE id = %s FOR UPDATE", [fetch.pk])
        # Left by an error when the server has ended the session.
        with (
            suppress(psycopg.OperationalError),
            cursor.copy("COPY collection_timetableentry (school_id) FROM STDIN"),
        ):
            assert claiming.end_standing_copies(lease_seconds=60) == 0
            assert claiming.expire_leases(most_failures=5) == 0
            assert claiming.end_standing_copies(lease_seconds=0) == 1
            wait_until(lambda: claiming.expire_leases(most_failures=5) == 1, seconds=10)
