"""Limits on requests to NEIS that hold over all workers and machines, kept in Redis.

Times are Redis's own, so that the clocks of workers may differ. When Redis is away every process
keeps to a slow rate of its own: the limit may be undercut then, never lifted.
"""

import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction

import limits
import redis
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from collection.neis import Throttled

logger = logging.getLogger(__name__)

_SLOW_RATE = limits.RateLimitItemPerSecond(1)

_SLOTS = "neis:in-flight"
# Slots are leases: one of a killed worker comes free by itself.
_TAKE_SLOT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[3])))
return 1
"""


class Gate:
    """Call it for a context in which one request may be made; it waits until there is room.

    0 requests per second, or 0 in flight: no limit.
    """

    def __init__(
        self,
        *,
        connection: "redis.Redis",
        storage: limits.storage.Storage,
        requests_per_second: float,
        max_in_flight: int,
        slot_seconds: float,
    ) -> None:
        self._redis = connection
        self._take_slot = connection.register_script(_TAKE_SLOT)
        self._rate = _rate_limit(requests_per_second)
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._alone = FixedWindowRateLimiter(limits.storage.MemoryStorage())
        self._max_in_flight = max_in_flight
        self._slot_seconds = slot_seconds

    @contextmanager
    def __call__(self, deadline: float | None) -> Iterator[None]:
        """`deadline` is a time of time.monotonic(). Raises Throttled when it comes first."""
        slot = uuid.uuid4().hex if self._max_in_flight else ""
        try:
            self._wait(slot, deadline)
            yield
        finally:
            self._give_back(slot)

    def _wait(self, slot: str, deadline: float | None) -> None:
        try:
            self._wait_for_slot(slot, deadline)
            self._wait_for_rate(deadline)
        except (redis.RedisError, limits.errors.StorageError):
            logger.warning("Redis is away: this process keeps to %s.", _SLOW_RATE)
            self._wait_alone(deadline)

    def _wait_for_slot(self, slot: str, deadline: float | None) -> None:
        if not self._max_in_flight:
            return
        arguments: list[str | float] = [slot, self._max_in_flight, self._slot_seconds]
        while not self._take_slot(keys=[_SLOTS], args=arguments):
            _sleep(0.02, deadline)

    def _wait_for_rate(self, deadline: float | None) -> None:
        if self._rate is None:
            return
        while not self._shared.hit(self._rate, "requests"):
            _sleep(self._rate.get_expiry() / self._rate.amount, deadline)

    def _wait_alone(self, deadline: float | None) -> None:
        while not self._alone.hit(_SLOW_RATE):
            _sleep(0.2, deadline)

    def _give_back(self, slot: str) -> None:
        if not self._max_in_flight:
            return
        # Nothing is lost with the slot: it comes free when its lease ends.
        with suppress(redis.RedisError):
            self._redis.zrem(_SLOTS, slot)


def _rate_limit(requests_per_second: float) -> limits.RateLimitItem | None:
    """Whole numbers only in a window: 2.5 a second are 5 in two seconds, 0.1 is 1 in ten."""
    if not requests_per_second:
        return None
    rate = Fraction(requests_per_second).limit_denominator(60)
    if not rate:
        rate = Fraction(1, 60)
    return limits.RateLimitItemPerSecond(rate.numerator, rate.denominator)


def _sleep(seconds: float, deadline: float | None) -> None:
    """Spread, so that those who wait do not all ask again at once."""
    seconds *= random.uniform(0.5, 1.5)
    if deadline is not None and time.monotonic() + seconds > deadline:
        raise Throttled("Our own limit on requests left no time for this one.")
    time.sleep(seconds)
