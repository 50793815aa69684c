"""Limits that hold over every worker, and what is left of them without Redis."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import redis
from django.conf import settings

from collection.limiting import Gate
from collection.neis import Throttled

KEYS = ("neis:in-flight", "neis:sent", "neis:held")


def connect() -> "redis.ConnectionPool":
    return redis.ConnectionPool.from_url(settings.REDIS_URL)


def delete_keys(connection: "redis.Redis") -> None:
    connection.delete(*KEYS)


@pytest.fixture
def connection() -> Iterator["redis.Redis"]:
    pool = connect()
    with redis.Redis(connection_pool=pool) as client:
        delete_keys(client)
        yield client
        delete_keys(client)
    pool.disconnect()


class Holds:
    """What is kept beside Redis."""

    def __init__(self) -> None:
        self.until = 0.0

    def hold(self, seconds: float) -> None:
        self.until = max(self.until, time.monotonic() + seconds)

    def held_seconds(self) -> float:
        return max(0.0, self.until - time.monotonic())


def make_gate(
    connection: "redis.Redis",
    *,
    requests_per_second: float = 0,
    max_in_flight: int = 0,
    slot_seconds: float = 30,
    holds: "Holds | None" = None,
) -> Gate:
    return Gate(
        connection=connection,
        holds=holds or Holds(),
        requests_per_second=requests_per_second,
        max_in_flight=max_in_flight,
        slot_seconds=slot_seconds,
    )


class Inside:
    """Counts who is within a gate at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0
        self.entered: list[float] = []

    def stay(self, seconds: float) -> None:
        with self._lock:
            self.entered.append(time.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(seconds)
        with self._lock:
            self.now -= 1


def enter(
    gates: list[Gate], inside: Inside, *, until: float, stay: float = 0.0, threads: int = 8
) -> None:
    """Threads share the gates and go in and out until the time is over."""

    def go(number: int) -> None:
        while time.monotonic() < until:
            with gates[number % len(gates)](None):
                inside.stay(stay)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(go, range(threads)))


def test_rate_holds_over_both_when_two_gates_share_it(connection: "redis.Redis") -> None:
    gates = [make_gate(connection, requests_per_second=20) for _ in range(2)]
    inside = Inside()

    began = time.monotonic()
    enter(gates, inside, until=began + 1.8)

    # 20 at once, then 20 for each second; those who wait at the end come in a little later.
    seconds = inside.entered[-1] - began
    assert 20 <= len(inside.entered) <= 20 + 20 * seconds + 2
    assert len([moment for moment in inside.entered if moment - began < 0.9]) <= 20


def test_no_more_are_in_flight_than_allowed_when_two_gates_share_it(
    connection: "redis.Redis",
) -> None:
    gates = [make_gate(connection, max_in_flight=3) for _ in range(2)]
    inside = Inside()

    enter(gates, inside, until=time.monotonic() + 0.7, stay=0.02)

    assert inside.most == 3
    assert len(inside.entered) > 20
    assert connection.zcard("neis:in-flight") == 0


def test_slot_comes_free_when_the_request_fails(connection: "redis.Redis") -> None:
    gate = make_gate(connection, max_in_flight=1)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate(None):
            raise ZeroDivisionError

    assert connection.zcard("neis:in-flight") == 0


def test_slot_comes_free_when_its_holder_was_killed(connection: "redis.Redis") -> None:
    killed = make_gate(connection, max_in_flight=1, slot_seconds=0.4)(None)
    killed.__enter__()
    began = time.monotonic()

    with make_gate(connection, max_in_flight=1)(None):
        waited = time.monotonic() - began

    assert 0.3 <= waited < 1.5
    killed.__exit__(None, None, None)


def test_nobody_elses_slot_is_given_back_when_a_late_holder_returns(
    connection: "redis.Redis",
) -> None:
    late = make_gate(connection, max_in_flight=1, slot_seconds=0.1)(None)
    late.__enter__()
    time.sleep(0.15)
    with make_gate(connection, max_in_flight=1)(None):
        late.__exit__(None, None, None)

        assert connection.zcard("neis:in-flight") == 1


def test_nothing_waits_and_redis_is_not_asked_when_there_is_no_limit(
    connection: "redis.Redis",
) -> None:
    gate = make_gate(connection)
    began = time.monotonic()

    for _ in range(500):
        with gate(None):
            pass

    assert time.monotonic() - began < 0.5
    assert connection.exists(*KEYS) == 0


@pytest.mark.parametrize(("rate", "least"), [(2.5, 1.15), (4, 0.45), (0.5, 9.5)])
def test_window_is_kept_when_the_rate_is(
    connection: "redis.Redis", rate: float, least: float
) -> None:
    gate = make_gate(connection, requests_per_second=rate)
    entered = []

    for _ in range(6):
        with gate(None):
            entered.append(time.monotonic())

    assert entered[-1] - entered[0] >= least


def test_no_second_has_more_than_the_rate_when_many_come_after_an_idle_spell(
    connection: "redis.Redis",
) -> None:
    gate, inside = make_gate(connection, requests_per_second=20), Inside()
    # A few late in one second, and a rush at the turn to the next: fixed windows let 40 in.
    time.sleep(1 - time.time() % 1 + 0.9)

    enter([gate], inside, until=time.monotonic() + 0.7)

    # Entering is noted a moment after it was granted.
    first = inside.entered[0]
    assert len([moment for moment in inside.entered if moment < first + 0.9]) <= 20


# Leaving NEIS alone


def test_everybody_waits_when_neis_asks_to_be_left_alone(connection: "redis.Redis") -> None:
    told, other = Holds(), Holds()
    first = make_gate(connection, max_in_flight=4, holds=told)
    second = make_gate(connection, requests_per_second=100, holds=other)
    began = time.monotonic()
    with pytest.raises(Throttled), first(None):
        raise Throttled("slow down", retry_after_seconds=0.6)

    with second(None):
        waited = time.monotonic() - began

    assert 0.6 <= waited < 1.5
    assert told.held_seconds() == 0
    assert told.until > began
    assert connection.zcard("neis:in-flight") == 0


def test_wait_is_throttled_at_once_when_it_is_longer_than_the_deadline(
    connection: "redis.Redis",
) -> None:
    gate = make_gate(connection, max_in_flight=4)
    with pytest.raises(Throttled), gate(None):
        raise Throttled("slow down", retry_after_seconds=600)
    began = time.monotonic()

    with pytest.raises(Throttled), gate(time.monotonic() + 30):
        pytest.fail("there was no room")

    assert time.monotonic() - began < 1


def test_longest_wait_holds_when_several_are_asked_for(connection: "redis.Redis") -> None:
    gate = make_gate(connection, max_in_flight=4)
    for seconds in (30, 7200, 5):
        with pytest.raises(Throttled), make_gate(connection)(None):
            raise Throttled("slow down", retry_after_seconds=seconds)

    assert 3500 < connection.ttl("neis:held") <= 3600
    with pytest.raises(Throttled), gate(time.monotonic() + 1):
        pytest.fail("there was no room")


def test_nobody_waits_when_neis_did_not_say_how_long(connection: "redis.Redis") -> None:
    gate, holds = make_gate(connection, max_in_flight=4), Holds()
    with pytest.raises(Throttled), gate(None):
        raise Throttled("slow down")

    with gate(time.monotonic() + 1):
        pass
    assert holds.until == 0


WORKER = """
import sys, time
import redis
from collection.limiting import Gate
from tests.collection.test_limiting import Holds

connection = redis.Redis.from_url(sys.argv[1])
gate = Gate(
    connection=connection, holds=Holds(), requests_per_second=10, max_in_flight=1, slot_seconds=30
)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    with gate(None):
        begin = time.time()
        time.sleep(0.01)
        print(begin, time.time(), flush=True)
"""


def test_rate_and_slots_hold_over_both_when_they_are_two_processes(
    connection: "redis.Redis",
) -> None:
    command = [sys.executable, "-c", WORKER, settings.REDIS_URL]
    workers = [
        subprocess.Popen(command, cwd=Path(settings.BASE_DIR), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [worker.communicate(timeout=30)[0] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0]
    stays = sorted(
        tuple(map(float, line.split())) for output in outputs for line in output.splitlines()
    )
    assert all(end <= begin for (_, end), (begin, _) in pairwise(stays))
    seconds = stays[-1][0] - stays[0][0]
    assert 10 <= len(stays) <= 10 + 10 * seconds + 2


def test_wait_for_the_rate_ends_when_the_deadline_comes(connection: "redis.Redis") -> None:
    gate = make_gate(connection, requests_per_second=1)
    with gate(None):
        pass
    began = time.monotonic()

    with pytest.raises(Throttled), gate(time.monotonic() + 0.1):
        pytest.fail("there was no room")

    assert time.monotonic() - began < 0.4


def test_wait_for_a_slot_ends_when_the_deadline_comes(connection: "redis.Redis") -> None:
    gate = make_gate(connection, max_in_flight=1)
    began = time.monotonic()

    with gate(None):
        with pytest.raises(Throttled), gate(time.monotonic() + 0.1):
            pytest.fail("there was no room")

        assert connection.zcard("neis:in-flight") == 1
    assert time.monotonic() - began < 1


# Without Redis


@pytest.fixture
def nobody() -> Iterator["redis.Redis"]:
    pool = redis.ConnectionPool.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    with redis.Redis(connection_pool=pool) as client:
        yield client
    pool.disconnect()


@pytest.mark.parametrize(
    "configured",
    [
        pytest.param({"requests_per_second": 100}, id="rate"),
        pytest.param({"max_in_flight": 100}, id="in flight"),
        pytest.param({"requests_per_second": 100, "max_in_flight": 100}, id="both"),
    ],
)
def test_one_request_a_second_is_made_when_redis_is_away(
    nobody: "redis.Redis", configured: dict[str, float]
) -> None:
    gate = make_gate(nobody, **configured)  # type: ignore[arg-type]
    inside = Inside()

    enter([gate], inside, until=time.monotonic() + 0.5, threads=2)

    # The first at once; the two that wait at the end come in one by one.
    assert len(inside.entered) == 3
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(inside.entered))


def test_it_is_left_alone_all_the_same_when_redis_is_away(nobody: "redis.Redis") -> None:
    gate = make_gate(nobody, max_in_flight=4)
    began = time.monotonic()
    with pytest.raises(Throttled), gate(None):
        raise Throttled("slow down", retry_after_seconds=1.5)

    with gate(None):
        waited = time.monotonic() - began

    assert waited >= 1.5


@pytest.mark.parametrize(("rate", "apart"), [(100, 1.0), (5, 2.0), (0, 1.0)])
def test_slow_rate_is_below_the_limit_when_redis_is_away(
    nobody: "redis.Redis", rate: float, apart: float
) -> None:
    gate = make_gate(nobody, requests_per_second=rate, max_in_flight=1)
    began = time.monotonic()
    for _ in range(2):
        with gate(None):
            pass

    assert apart <= time.monotonic() - began < apart + 1


def test_request_ends_well_when_redis_goes_away_within(connection: "redis.Redis") -> None:
    pool = connect()

    class Breakable(pool.connection_class):  # type: ignore[misc, name-defined]
        broken = False

        def _connect(self) -> object:
            if Breakable.broken:
                raise redis.ConnectionError
            return super()._connect()

    pool.connection_class = Breakable
    gate = make_gate(redis.Redis(connection_pool=pool), max_in_flight=1)

    with gate(None):
        Breakable.broken = True
        pool.disconnect()

    # The slot stays until its lease ends.
    assert connection.zcard("neis:in-flight") == 1
    pool.disconnect()
