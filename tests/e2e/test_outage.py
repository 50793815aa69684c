"""NEIS goes down in the middle of a run, and comes back."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from collection.models import (
    Attempt,
    AttemptOutcome,
    Breaker,
    FetchState,
    SchoolFetch,
    UpstreamState,
)
from collection.neis_emulator import Emulator, Fault, World, running
from tests.e2e import stack as stacks
from tests.e2e import truth

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

FIRST = date(2026, 5, 18)
MONDAYS = [FIRST + timedelta(weeks=week) for week in range(3)]
# Short waits between attempts: without a breaker every fetch would fail within seconds.
QUICK = {
    "BREAKER_COOL_DOWN_SECONDS": "1",
    "BREAKER_MOST_COOL_DOWN_SECONDS": "2",
    "FETCH_MAX_FAILURES": "3",
    "FETCH_RETRY_SECONDS": "0.2",
    # A slow machine is no outage.
    "NEIS_TIMEOUT_SECONDS": "20",
    "FETCH_DEADLINE_SECONDS": "40",
    "FETCH_LEASE_SECONDS": "60",
}


@pytest.mark.parametrize("kind", ["http_503", "reset", "html"])
def test_no_fetch_fails_and_no_attempt_counts_when_neis_is_down_for_a_while(
    tmp_path: Path, kind: str
) -> None:
    world = World(21, schools=100, offices=("T10",))
    emulator = Emulator(world, keys=(stacks.KEY,))
    with running(emulator), stacks.running(tmp_path, emulator.base_url, **QUICK) as stack:
        stack.manage("sync_schools")
        emulator.faults.switch([Fault("latency", seconds=0.1)])
        stack.start_worker()
        following = stack.begin("collect", "--from", str(FIRST), "--weeks", "3", "--json")
        done = SchoolFetch.objects.filter(state__in=[FetchState.SUCCEEDED, FetchState.EMPTY])
        stacks.wait_until(lambda: done.count() >= 20, seconds=60)
        down_since = timezone.now()
        emulator.faults.switch([Fault(kind)])
        opened = UpstreamState.objects.filter(state=Breaker.OPEN)
        stacks.wait_until(opened.exists, seconds=30)
        asked = emulator.journal.summary()["requests"]
        stacks.wait_until(lambda: UpstreamState.objects.get().probes >= 3, seconds=60)
        probes = UpstreamState.objects.get().probes
        asked_while_open = emulator.journal.summary()["requests"] - asked
        failed_while_down = SchoolFetch.objects.filter(state=FetchState.FAILED).count()
        emulator.faults.switch([])
        out, err = following.communicate(timeout=120)

        assert following.returncode == 0, err
        report = stacks.report(out)
        assert report["state"] == "completed"
        assert failed_while_down == 0
        since = Attempt.objects.filter(finished_at__gt=down_since)
        counted = since.filter(outcome=AttemptOutcome.FAILED)
        assert list(counted.values("started_at", "finished_at", "error_message")) == []
        assert since.filter(outcome=AttemptOutcome.POSTPONED).exists()
        assert _failures_counted() == _failures_noted()
        # What was in flight, and for each probe the fetch itself and a school that answered.
        assert asked_while_open <= 8 + 2 * (probes + 1)
        assert UpstreamState.objects.get().state == Breaker.CLOSED
        path = tmp_path / "timetables.csv"
        stack.manage(
            "export_timetables", "--from", str(FIRST), "--weeks", "3", "--output", str(path)
        )
        assert truth.of_file(path) == truth.of_schools(world, world.schools, MONDAYS)


def _failures_counted() -> int:
    return sum(SchoolFetch.objects.values_list("failures", flat=True))


def _failures_noted() -> int:
    noted = [AttemptOutcome.FAILED, AttemptOutcome.LOST]
    return Attempt.objects.filter(outcome__in=noted).count()


def test_schools_that_fail_for_ever_are_no_outage_when_only_they_are_left(tmp_path: Path) -> None:
    world = World(22, schools=60, offices=("T10",))
    doomed = frozenset(school.school_code for school in world.schools[:25])
    emulator = Emulator(world, keys=(stacks.KEY,))
    with running(emulator), stacks.running(tmp_path, emulator.base_url, **QUICK) as stack:
        stack.manage("sync_schools")
        emulator.faults.switch([Fault("http_500", schools=doomed)])
        stack.start_worker()

        report = stack.collect("--from", str(FIRST), "--weeks", "3", expect=3)

        assert report["fetches"]["failed"] == 25
        failed = SchoolFetch.objects.filter(state=FetchState.FAILED)
        assert {fetch.school.code for fetch in failed.select_related("school")} == doomed
