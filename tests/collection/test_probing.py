"""What a worker does when NEIS fails, against the emulator over HTTP."""

from collections.abc import Iterator
from datetime import date

import pytest
from django.db import connection
from pytest_django import Settings

from collection import breaker, fetching, pumping, upstream
from collection.models import (
    Attempt,
    Breaker,
    ErrorClass,
    FetchState,
    HeldWeek,
    Level,
    Run,
    School,
    SchoolFetch,
    SchoolWeek,
    UpstreamState,
)
from collection.neis_emulator import Emulator, Fault, World, running
from tests.collection.ledger import make_fetch, make_run, make_school

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "probing-key"
FIRST = date(2026, 5, 18)


@pytest.fixture
def emulator(settings: Settings) -> Iterator[Emulator]:
    emulator = Emulator(World(31, schools=40, offices=("T10",)), keys=(KEY,))
    with running(emulator):
        settings.NEIS_BASE_URL = emulator.base_url
        settings.NEIS_API_KEYS = (KEY,)
        settings.NEIS_REQUESTS_PER_SECOND = 0.0
        settings.NEIS_MAX_IN_FLIGHT = 0
        settings.FETCH_MAX_FAILURES = 5
        yield emulator
        upstream.client().close()


@pytest.fixture
def schools(emulator: Emulator) -> list[School]:
    """Elementary schools with rows."""
    world = emulator.world
    return [
        make_school(
            school.school_code,
            office=school.office_code,
            level=Level.ELEMENTARY,
            services=["elsTimetable"],
        )
        for school in world.schools
        if school.kind == "초등학교" and world.truth(school.office_code, school.school_code, FIRST)
    ]


def plan(schools: list[School]) -> list[SchoolFetch]:
    run = make_run(first_monday=FIRST)
    return [make_fetch(school, run) for school in schools]


def work(fetches: list[SchoolFetch]) -> list[FetchState | None]:
    """One attempt at each."""
    return [fetching.fetch_school(f.pk, worker="w", task_id=None).state for f in fetches]


def make_due() -> None:
    SchoolFetch.objects.update(next_attempt_at=None)


def fail_for(emulator: Emulator, schools: list[School], kind: str = "http_500") -> None:
    codes = frozenset(school.code for school in schools)
    emulator.faults.switch([Fault(kind, schools=codes)])


def suspect_soon(settings: Settings) -> None:
    """Three failures are enough, without a minute between them."""
    settings.BREAKER_COOL_DOWN_SECONDS = 0.0001


def test_breaker_opens_and_costs_nothing_when_a_good_school_fails_too(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    suspect_soon(settings)
    assert work(plan(schools[:1])) == [FetchState.SUCCEEDED]
    emulator.faults.switch([Fault("http_503")])
    fetches = plan(schools[1:6])

    states = work(fetches)

    # The third opens it; the others are not begun.
    assert states == [FetchState.WAITING] * 3 + [None] * 2
    assert breaker.state().state == Breaker.OPEN
    assert breaker.state().reason == ErrorClass.SERVER_FAULT
    assert set(SchoolFetch.objects.values_list("failures", flat=True)) == {0}
    assert not Attempt.objects.filter(outcome="failed").exists()


def test_breaker_stays_closed_and_failures_count_when_a_good_school_answers(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    suspect_soon(settings)
    work(plan(schools[:1]))
    fail_for(emulator, schools[1:6])

    work(plan(schools[1:6]))

    assert breaker.lets_begin()
    assert Attempt.objects.filter(outcome="failed").count() == 5
    assert SchoolFetch.objects.filter(failures=1).count() == 5


def test_breaker_opens_on_the_evidence_alone_when_nothing_was_ever_stored(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    suspect_soon(settings)
    emulator.faults.switch([Fault("reset")])

    work(plan(schools[:4]))

    assert breaker.state().state == Breaker.OPEN
    assert not Attempt.objects.filter(outcome="failed").exists()


def go_down(emulator: Emulator, schools: list[School], settings: Settings) -> SchoolFetch:
    """Returns the probe, published and not begun."""
    suspect_soon(settings)
    work(plan(schools[:1]))
    emulator.faults.switch([Fault("http_503")])
    work(plan(schools[1:5]))
    assert breaker.state().state == Breaker.OPEN
    UpstreamState.objects.update(probe_at=breaker.state().since)
    sent: list[int] = []
    pumping.pump(publish=lambda fetch_id, level: sent.append(fetch_id), queued=lambda: 0)
    return SchoolFetch.objects.get(pk=sent[0])


def test_breaker_closes_when_the_probe_is_answered(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    probe = go_down(emulator, schools, settings)
    emulator.faults.switch([])

    assert work([probe]) == [FetchState.SUCCEEDED]

    assert breaker.lets_begin()


def test_breaker_opens_again_and_the_probe_costs_nothing_when_it_fails(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    probe = go_down(emulator, schools, settings)

    assert work([probe]) == [FetchState.WAITING]

    assert breaker.state().state == Breaker.OPEN
    probe.refresh_from_db()
    assert probe.failures == 0
    assert SchoolFetch.objects.filter(failures__gt=0).count() == 0


def test_breaker_closes_and_the_probe_costs_nothing_when_only_its_school_fails(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    probe = go_down(emulator, schools, settings)
    assert probe.school is not None
    fail_for(emulator, [probe.school])

    assert work([probe]) == [FetchState.WAITING]

    assert breaker.lets_begin()
    probe.refresh_from_db()
    assert probe.failures == 0


def test_breaker_closes_when_the_probe_is_refused_for_its_own_sake(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    probe = go_down(emulator, schools, settings)
    emulator.faults.switch([Fault("error_300")])

    assert work([probe]) == [FetchState.FAILED]

    assert breaker.lets_begin()


@pytest.mark.parametrize("in_flight", [0, 4])
def test_nobody_begins_when_neis_asks_to_be_left_alone(
    emulator: Emulator, schools: list[School], settings: Settings, in_flight: int
) -> None:
    settings.NEIS_MAX_IN_FLIGHT = in_flight
    emulator.faults.switch([Fault("http_429", seconds=1)])
    fetches = plan(schools[:3])

    try:
        assert work(fetches) == [FetchState.WAITING, None, None]

        assert breaker.held_seconds() > 0
        assert SchoolFetch.objects.filter(failures__gt=0).count() == 0
    finally:
        # The gate is the one that everybody on this machine shares.
        upstream.client()._gate._redis.delete("neis:held")  # type: ignore[attr-defined]


def test_school_fails_with_its_traceback_and_the_others_do_not_when_its_data_is_refused(
    emulator: Emulator, schools: list[School]
) -> None:
    good, bad = plan(schools[:2])
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON collection_timetableentry"
            f" FOR EACH ROW WHEN (NEW.school_id = {bad.school_id}) EXECUTE FUNCTION refuse()"
        )
    try:
        assert work([bad, good]) == [FetchState.FAILED, FetchState.SUCCEEDED]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")

    bad.refresh_from_db()
    assert (bad.error_class, bad.attempt) == (ErrorClass.BUG, 1)
    assert "refused" in bad.error_message
    assert "Traceback" in Attempt.objects.get(fetch=bad).traceback
    assert not SchoolWeek.objects.filter(school=bad.school).exists()
    assert Run.objects.count() == 1


def test_second_look_ends_held_or_stored_when_a_whole_attempt_is_made(
    emulator: Emulator, schools: list[School], settings: Settings
) -> None:
    settings.HOLD_AGAIN_SECONDS = 660
    work(plan(schools[:1]))
    SchoolWeek.objects.update(entries=100_000, digest=b"far more than NEIS has by now")
    (fetch,) = plan(schools[:1])

    assert work([fetch]) == [FetchState.WAITING]
    make_due()
    assert work([fetch]) == [FetchState.HELD]

    fetch.refresh_from_db()
    assert fetch.finished_at is not None
    assert HeldWeek.objects.filter(state="waiting").count() == 1
