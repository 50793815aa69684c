"""The client of NEIS as the settings have it: one for each process."""

from functools import cache

import redis
from django.conf import settings

from collection import breaker
from collection.keys import StoredKeys
from collection.limiting import Gate
from collection.neis import Limits, NeisClient


@cache
def client() -> NeisClient:
    """Made at first use, so that a forked worker has connections of its own."""
    seconds = settings.NEIS_TIMEOUT_SECONDS
    return NeisClient(
        base_url=settings.NEIS_BASE_URL,
        keys=StoredKeys(
            settings.NEIS_API_KEYS,
            secret=settings.SECRET_KEY,
            daily_calls=settings.NEIS_DAILY_CALLS,
        ),
        limits=Limits(
            connect_seconds=min(5.0, seconds),
            read_seconds=min(10.0, seconds),
            request_seconds=seconds,
        ),
        gate=_gate(),
    )


def _gate() -> Gate:
    return Gate(
        connection=redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5
        ),
        holds=breaker,
        requests_per_second=settings.NEIS_REQUESTS_PER_SECOND,
        max_in_flight=settings.NEIS_MAX_IN_FLIGHT,
        # A request ends within its time-out, and a little is for the way.
        slot_seconds=settings.NEIS_TIMEOUT_SECONDS + 10,
    )
