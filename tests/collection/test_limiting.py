"""Limits that hold over every worker, and what is left of them without Redis."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import limits
import pytest
import redis
from django.conf import settings

from collection.limiting import Gate
from collection.neis import Throttled

# A database of its own in the same server: whoever works beside the tests is left alone.
TEST_DATABASE = 15
PREFIX = "neis-tests"

MakeGate = Callable[..., Gate]


def connect() -> "redis.ConnectionPool":
    pool = redis.ConnectionPool.from_url(settings.REDIS_URL)
    pool.connection_kwargs["db"] = TEST_DATABASE
    return pool


def delete_keys(connection: "redis.Redis") -> None:
    for pattern in (f"{PREFIX}*", "neis:in-flight"):
        for key in connection.scan_iter(pattern):
            connection.delete(key)


@pytest.fixture
def connection() -> Iterator["redis.Redis"]:
    pool = connect()
    with redis.Redis(connection_pool=pool) as client:
        delete_keys(client)
        yield client
        delete_keys(client)
    pool.disconnect()


def make_gate(
    connection: "redis.Redis",
    *,
    requests_per_second: float = 0,
    max_in_flight: int = 0,
    slot_seconds: float = 30,
) -> Gate:
    return Gate(
        connection=connection,
        storage=limits.storage.RedisStorage(
            "redis://",
            connection_pool=connection.connection_pool,
            key_prefix=PREFIX,
            wrap_exceptions=True,
        ),
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
    assert list(connection.scan_iter(f"{PREFIX}*")) == []


@pytest.mark.parametrize(("rate", "least"), [(2.5, 1.5), (4, 0.9)])
def test_window_is_kept_when_the_rate_is(
    connection: "redis.Redis", rate: float, least: float
) -> None:
    gate = make_gate(connection, requests_per_second=rate)
    entered = []

    for _ in range(6):
        with gate(None):
            entered.append(time.monotonic())

    assert entered[-1] - entered[0] >= least


WORKER = f"""
import sys, time
import limits, redis
from collection.limiting import Gate

pool = redis.ConnectionPool.from_url(sys.argv[1])
pool.connection_kwargs["db"] = {TEST_DATABASE}
connection = redis.Redis(connection_pool=pool)
storage = limits.storage.RedisStorage(
    "redis://", connection_pool=pool, key_prefix={PREFIX!r}, wrap_exceptions=True
)
gate = Gate(
    connection=connection, storage=storage, requests_per_second=10, max_in_flight=1, slot_seconds=30
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
