"""Limits on requests to NEIS that hold over all workers and machines, kept in Redis.

Times are Redis's own, so that the clocks of workers may differ. When Redis is away every process
keeps to a slow rate of its own: the limit may be undercut then, never lifted.
"""

import logging
import math
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import redis

from collection.neis import Throttled

logger = logging.getLogger(__name__)

_IN_FLIGHT, _SENT, _HELD = "neis:in-flight", "neis:sent", "neis:held"
_NO_SLOT_SECONDS = 0.02
MOST_HELD_SECONDS = 60 * 60

# One request comes in when nobody is to be left alone, a slot is free, and fewer than `amount`
# came in during the last `window` seconds; else the answer is for how long there is no room.
# Slots are leases: one of a killed worker comes free by itself.
_ENTER = """
local in_flight, sent, held = KEYS[1], KEYS[2], KEYS[3]
local id, slots, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local amount, window = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local wait = redis.call('PTTL', held)
if wait > 0 then return tostring(wait / 1000) end
if slots > 0 then
    redis.call('ZREMRANGEBYSCORE', in_flight, '-inf', now)
    if redis.call('ZCARD', in_flight) >= slots then return ARGV[6] end
end
if amount > 0 then
    redis.call('ZREMRANGEBYSCORE', sent, '-inf', now - window)
    if redis.call('ZCARD', sent) >= amount then
        local first = redis.call('ZRANGE', sent, 0, 0, 'WITHSCORES')[2]
        return tostring(math.max(first + window - now, 0.001))
    end
    redis.call('ZADD', sent, string.format('%.6f', now), id)
    redis.call('PEXPIRE', sent, math.ceil(window * 1000))
end
if slots > 0 then
    redis.call('ZADD', in_flight, string.format('%.6f', now + lease), id)
    redis.call('EXPIRE', in_flight, math.ceil(lease))
end
return '0'
"""

# Never shortened: the longest that NEIS asked for holds.
_HOLD = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
"""


class Holds(Protocol):
    """Where it is kept beside Redis that NEIS is to be left alone for a while."""

    def hold(self, seconds: float) -> None: ...

    def held_seconds(self) -> float: ...


class Gate:
    """Call it for a context in which one request may be made; it waits until there is room.

    0 requests per second, or 0 in flight: no limit. An answer that asks to be left alone holds
    everybody's requests; one that holds them for longer than the deadline is Throttled at once.
    """

    def __init__(
        self,
        *,
        connection: "redis.Redis",
        holds: Holds,
        requests_per_second: float,
        max_in_flight: int,
        slot_seconds: float,
    ) -> None:
        self._redis = connection
        self._enter = connection.register_script(_ENTER)
        self._hold = connection.register_script(_HOLD)
        self._holds = holds
        # 2.5 a second are 3 in 1.2 s: a whole number, and exact.
        amount = math.ceil(requests_per_second)
        self._amount, self._window = amount, amount / (requests_per_second or 1)
        self._max_in_flight = max_in_flight
        self._slot_seconds = slot_seconds
        self._alone = _OneByOne(_slow_rate(requests_per_second))

    @contextmanager
    def __call__(self, deadline: float | None) -> Iterator[None]:
        """`deadline` is a time of time.monotonic(). Raises Throttled when it comes first."""
        slot = uuid.uuid4().hex
        try:
            self._wait(slot, deadline)
            yield
        except Throttled as error:
            if error.retry_after_seconds:
                self._hold_all(min(error.retry_after_seconds, MOST_HELD_SECONDS))
            raise
        finally:
            self._give_back(slot)

    def _wait(self, slot: str, deadline: float | None) -> None:
        if not (self._max_in_flight or self._amount):
            return
        try:
            self._wait_for_redis(slot, deadline)
        except redis.RedisError:
            logger.warning("Redis is away: this process keeps to a slow rate of its own.")
            while seconds := self._holds.held_seconds():
                _sleep(seconds, deadline)
            while seconds := self._alone.enter():
                _sleep(seconds, deadline)

    def _wait_for_redis(self, slot: str, deadline: float | None) -> None:
        keys = [_IN_FLIGHT, _SENT, _HELD]
        limits = [self._max_in_flight, self._slot_seconds, self._amount, self._window]
        arguments: list[str | float] = [slot, *limits, _NO_SLOT_SECONDS]
        while seconds := float(self._enter(keys=keys, args=arguments)):
            _sleep(seconds, deadline)

    def _hold_all(self, seconds: float) -> None:
        with suppress(redis.RedisError):
            self._hold(keys=[_HELD], args=[int(seconds * 1000)])
        self._holds.hold(seconds)

    def _give_back(self, slot: str) -> None:
        if not self._max_in_flight:
            return
        # Nothing is lost with the slot: it comes free when its lease ends.
        with suppress(redis.RedisError):
            self._redis.zrem(_IN_FLIGHT, slot)


class _OneByOne:
    """A rate for one process: requests at least `seconds` apart."""

    def __init__(self, requests_per_second: float) -> None:
        self._seconds = 1 / requests_per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def enter(self) -> float:
        """0 when a request may go; else for how long there is no room."""
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return self._next - now
            self._next = now + self._seconds
            return 0.0


def _slow_rate(requests_per_second: float) -> float:
    """Ten processes that know nothing of each other stay below the limit together."""
    return min(1.0, requests_per_second / 10) if requests_per_second else 1.0


def _sleep(seconds: float, deadline: float | None) -> None:
    """A little longer, so that those who wait do not all ask again at the same moment."""
    seconds += random.uniform(0, min(seconds, 0.02))
    if deadline is not None and time.monotonic() + seconds > deadline:
        raise Throttled("Our own limit on requests left no time for this one.")
    time.sleep(seconds)
