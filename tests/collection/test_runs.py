"""The life of a run once it is there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from collection import claiming, keys, runs, storage
from collection.claiming import Failure
from collection.deciding import HoldRule
from collection.models import (
    ApiKeyState,
    ErrorClass,
    FetchState,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
)
from collection.neis.rows import Rows
from collection.normalising import normalise
from collection.planning import KOREA
from tests.collection import ledger
from tests.collection import rows as wire
from tests.collection.ledger import make_fetch, make_run, make_school, take, with_fetches

NOW = datetime(2026, 6, 12, 3, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def state_of(run: Run) -> tuple[str, str]:
    run.refresh_from_db()
    return run.state, run.pause_reason


# Pauses


@pytest.mark.parametrize("reason", PauseReason)
def test_run_is_paused_and_resumed_when_reason_is(reason: PauseReason) -> None:
    run = make_run()

    assert runs.pause(run.pk, reason=reason)
    assert state_of(run) == (RunState.PAUSED, reason)
    assert runs.resume(run.pk)
    assert state_of(run) == (RunState.RUNNING, "")
    assert run.paused_until is None


def test_pause_ends_at_midnight_in_korea_when_the_quota_is_spent() -> None:
    run = make_run()

    runs.pause(run.pk, reason=PauseReason.QUOTA)

    run.refresh_from_db()
    assert run.paused_until is not None
    until = run.paused_until.astimezone(KOREA)
    assert (until.hour, until.minute, until.second) == (0, 0, 0)
    assert timedelta(0) < until - timezone.now() <= timedelta(days=1)


@pytest.mark.parametrize("reason", [PauseReason.OPERATOR, PauseReason.KEYS])
def test_pause_has_no_end_when_reason_is(reason: PauseReason) -> None:
    run = make_run()
    runs.pause(run.pk, reason=reason)

    assert runs.resume_due() == 0
    run.refresh_from_db()
    assert (run.state, run.paused_until) == (RunState.PAUSED, None)


@pytest.mark.parametrize(("minutes", "resumed"), [(-1, 1), (1, 0)])
def test_run_goes_on_by_itself_when_its_pause_ends(minutes: int, resumed: int) -> None:
    run = make_run()
    runs.pause(run.pk, reason=PauseReason.QUOTA)
    Run.objects.update(paused_until=timezone.now() + timedelta(minutes=minutes))

    assert runs.resume_due() == resumed

    assert state_of(run)[0] == (RunState.RUNNING if resumed else RunState.PAUSED)


@pytest.mark.parametrize(
    "state", [RunState.COMPLETED, RunState.INCOMPLETE, RunState.CANCELLED], ids=str
)
@pytest.mark.parametrize(
    "act",
    [
        lambda pk: runs.pause(pk, reason=PauseReason.OPERATOR),
        runs.resume,
        runs.cancel,
    ],
    ids=["pause", "resume", "cancel"],
)
def test_run_stays_as_it_is_when_it_is_over(state: RunState, act: Callable[[int], object]) -> None:
    run = make_run(state=state)

    assert not act(run.pk)

    assert state_of(run) == (state, "")


def test_pause_keeps_its_reason_when_paused_again() -> None:
    run = make_run()
    runs.pause(run.pk, reason=PauseReason.OPERATOR)

    assert not runs.pause(run.pk, reason=PauseReason.QUOTA)

    assert state_of(run) == (RunState.PAUSED, PauseReason.OPERATOR)


def test_refused_keys_are_tried_again_and_spent_ones_not_when_an_operator_resumes() -> None:
    run = make_run()
    runs.pause(run.pk, reason=PauseReason.KEYS)
    until = timezone.now() + timedelta(hours=3)
    ApiKeyState.objects.create(fingerprint="refused", refused_at=NOW)
    ApiKeyState.objects.create(fingerprint="spent", spent_until=until)

    runs.resume(run.pk)

    states = {
        state.pk: (state.refused_at, state.spent_until) for state in ApiKeyState.objects.all()
    }
    assert states == {"refused": (None, None), "spent": (None, until)}


def test_refused_keys_stay_refused_when_nothing_was_paused() -> None:
    ApiKeyState.objects.create(fingerprint="refused", refused_at=NOW)

    assert not runs.resume(make_run().pk)

    assert ApiKeyState.objects.get().refused_at == NOW
    keys.forgive_refused()
    assert ApiKeyState.objects.get().refused_at is None


# Ends


WAITING, RUNNING = FetchState.WAITING, FetchState.RUNNING
SUCCEEDED, EMPTY = FetchState.SUCCEEDED, FetchState.EMPTY
HELD, FAILED, CANCELLED = FetchState.HELD, FetchState.FAILED, FetchState.CANCELLED


@pytest.mark.parametrize(
    ("fetches", "ends_as"),
    [
        ([SUCCEEDED, WAITING], None),
        ([SUCCEEDED, RUNNING], None),
        ([FAILED, WAITING], None),
        ([SUCCEEDED, SUCCEEDED], RunState.COMPLETED),
        ([SUCCEEDED, EMPTY], RunState.COMPLETED),
        ([SUCCEEDED, FAILED], RunState.INCOMPLETE),
        ([SUCCEEDED, HELD], RunState.INCOMPLETE),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else str(value),
)
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_run_ends_once_when_its_fetches_are(
    fetches: list[FetchState], ends_as: RunState | None, paused: bool
) -> None:
    run = make_run()
    with_fetches(run, *fetches)
    if paused:
        runs.pause(run.pk, reason=PauseReason.OPERATOR)
    before = state_of(run)

    assert runs.finish_due() == (ends_as is not None)

    assert state_of(run) == ((ends_as, "") if ends_as else before)
    assert (run.finished_at is not None) is (ends_as is not None)
    assert runs.finish_due() == 0


def test_run_does_not_end_before_it_began_when_a_clock_is_ahead() -> None:
    run = make_run()
    Run.objects.update(created_at=timezone.now() + timedelta(hours=1))
    with_fetches(run, SUCCEEDED)

    runs.finish_due()

    run.refresh_from_db()
    assert run.finished_at == run.created_at


@pytest.mark.django_db(transaction=True)
def test_each_run_ends_once_when_several_look_at_once() -> None:
    for _ in range(10):
        with_fetches(make_run(), SUCCEEDED)

    assert sum(ledger.at_once(lambda _: runs.finish_due(), times=4)) == 10


def test_open_fetches_end_and_the_others_stay_when_a_run_is_cancelled() -> None:
    run, other = make_run(), make_run()
    with_fetches(run, WAITING, RUNNING, SUCCEEDED, FAILED)
    with_fetches(other, WAITING)

    assert runs.cancel(run.pk) == 2

    assert sorted(run.fetches.values_list("state", flat=True)) == [
        "cancelled",
        "cancelled",
        "failed",
        "succeeded",
    ]
    assert state_of(run)[0] == RunState.CANCELLED
    assert run.finished_at is not None
    assert state_of(other)[0] == RunState.RUNNING
    assert other.fetches.get().state == WAITING
    assert runs.cancel(run.pk) == 0
    assert runs.finish_due() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(3))
def test_fetch_is_cancelled_or_stored_and_never_both_when_it_happens_at_once(number: int) -> None:
    run = make_run()
    fetches = [make_fetch(make_school(str(code)), run) for code in range(10)]
    claims = [take(fetch) for fetch in fetches]

    def act(thread: int) -> int:
        if thread:
            return runs.cancel(run.pk)
        stored = 0
        for claim in claims:
            answer = normalise(Rows(), office_code="B10", school_code="", mondays=claim.mondays)
            try:
                storage.store(claim, answer, service="hisTimetable", requests=1, rule=HoldRule())
                stored += 1
            except storage.ClaimLost:
                pass
        return stored

    stored, cancelled = ledger.at_once(act, times=2)

    assert stored + cancelled == 10
    assert run.fetches.filter(state=EMPTY).count() == stored
    assert run.fetches.filter(state=CANCELLED).count() == cancelled


# Totals


def test_totals_add_up_when_everything_happened() -> None:
    run = make_run()
    schools = [make_school(str(number)) for number in range(6)]
    fetches = [make_fetch(school, run) for school in schools]

    def store(fetch: SchoolFetch, rows: list[wire.Row], requests: int = 1) -> None:
        claim = take(fetch)
        own: wire.Row = {"SD_SCHUL_CODE": claim.school_code}
        answer = normalise(
            wire.in_columns([row | own for row in rows]),
            office_code="B10",
            school_code=claim.school_code,
            mondays=claim.mondays,
        )
        storage.store(claim, answer, service="hisTimetable", requests=requests, rule=HoldRule())

    store(make_fetch(schools[1], make_run()), wire.lessons(30))
    store(fetches[0], [*wire.lessons(8), *wire.lessons(3), wire.high(PERIO="x")], requests=2)
    store(fetches[1], wire.lessons(2))
    store(fetches[2], [])
    failure = Failure(ErrorClass.TIMED_OUT, "", requests=1)
    claiming.retry_later(take(fetches[3]), failure, after_seconds=0, counts=True, published=False)
    SchoolFetch.objects.filter(pk=fetches[3].pk).update(next_attempt_at=None)
    store(fetches[3], wire.lessons(1))
    claiming.fail(take(fetches[4]), failure)

    totals = runs.totals(run.pk)

    assert totals.fetches == {"succeeded": 2, "held": 1, "empty": 1, "failed": 1, "waiting": 1}
    assert (totals.planned, totals.done) == (6, 5)
    assert (totals.requests, totals.retries) == (2 + 1 + 1 + 2 + 1, 1)
    assert totals.entries == {
        "received": 15,
        "duplicate": 3,
        "rejected": 1,
        "stored": 9,
        "removed": 0,
        "unchanged": 0,
        "held": 2,
    }
    parts = ("duplicate", "rejected", "stored", "unchanged", "held")
    assert totals.entries["received"] == sum(totals.entries[name] for name in parts)


def test_totals_are_none_when_a_run_has_done_nothing() -> None:
    run = make_run()

    totals = runs.totals(run.pk)

    assert (totals.planned, totals.done, totals.requests, totals.retries) == (0, 0, 0, 0)
    assert set(totals.entries.values()) == {0}
