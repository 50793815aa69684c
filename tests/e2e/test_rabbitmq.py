"""RabbitMQ as the broker, by nothing but CELERY_BROKER_URL."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from kombu import Connection

from collection.models import FetchState, SchoolFetch
from collection.neis_emulator import Emulator, Fault, World, all_transient, running
from tests.e2e import rabbitmq, truth
from tests.e2e import stack as stacks

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

FIRST = date(2026, 5, 18)
MONDAYS = [FIRST + timedelta(weeks=week) for week in range(3)]
WINDOW = ("--from", str(FIRST), "--weeks", "3")
LEVELS = ("elementary", "middle", "high", "special")


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rabbitmq.running(tmp_path_factory.mktemp("rabbitmq") / "server") as url:
        yield url


@pytest.fixture(autouse=True)
def _empty_queues(broker_url: str) -> Iterator[None]:
    yield
    _purge(broker_url)


def test_nothing_is_lost_when_queues_are_purged_and_a_worker_is_killed(
    tmp_path: Path, broker_url: str
) -> None:
    world = World(15, schools=80, offices=("T10",))
    emulator = Emulator(world, keys=(stacks.KEY,))
    with (
        running(emulator),
        stacks.running(tmp_path, emulator.base_url, CELERY_BROKER_URL=broker_url) as stack,
    ):
        stack.manage("sync_schools")
        emulator.faults.switch([*all_transient(share=0.1), Fault("latency", seconds=0.2)])
        victim = stack.start_worker("victim")
        following = stack.begin("collect", *WINDOW, "--json")
        _wait_for_done(15)
        victim.kill()
        stack.start_worker("heir")
        _wait_for_done(35)
        _purge(broker_url)
        out, err = following.communicate(timeout=300)

        assert following.returncode == 0, err
        report = stacks.report(out)
        assert (report["state"], report["retries"] > 0) == ("completed", True)
        assert SchoolFetch.objects.filter(attempts__outcome="lost").exists()
        stored, expected = _stored(stack), truth.of_schools(world, world.schools, MONDAYS)
        assert (stored - expected, expected - stored) == ({}, {})


def test_retries_that_are_not_due_keep_no_worker_from_the_other_schools(
    tmp_path: Path, broker_url: str
) -> None:
    world = World(16, schools=24, offices=("T10",))
    emulator = Emulator(world, keys=(stacks.KEY,))
    failing = frozenset(school.school_code for school in world.schools[:8])
    with (
        running(emulator),
        stacks.running(
            tmp_path,
            emulator.base_url,
            CELERY_BROKER_URL=broker_url,
            FETCH_RETRY_SECONDS="120",
            # The other schools come after the retries, which would else be last in the queue.
            PUBLISH_WINDOW="6",
        ) as stack,
    ):
        stack.manage("sync_schools")
        emulator.faults.switch([Fault("http_500", schools=failing)])
        stack.start_worker(threads=1)
        stack.begin("collect", *WINDOW)
        _wait_for_done(len(world.schools) - len(failing))
        attempts = SchoolFetch.objects.filter(school__code__in=failing).values_list("attempt")
        assert set(attempts) <= {(0,), (1,)}


def _wait_for_done(fetches: int) -> None:
    done = SchoolFetch.objects.filter(state__in=[FetchState.SUCCEEDED, FetchState.EMPTY])
    stacks.wait_until(lambda: done.count() >= fetches, seconds=240)


def _purge(broker_url: str) -> None:
    with Connection(broker_url) as broker:
        for level in LEVELS:
            broker.default_channel.queue_purge(f"fetch.{level}")


def _stored(stack: stacks.Stack) -> Counter[truth.Line]:
    path = stack.folder / "timetables.csv"
    stack.manage("export_timetables", *WINDOW, "--output", str(path))
    return truth.of_file(path)
