"""The client of NEIS as the settings have it: one for each process."""

from functools import cache

import limits
import redis
from django.conf import settings

from collection.keys import StoredKeys
from collection.limiting import Gate
from collection.neis import Limits, NeisClient


@cache
def client() -> NeisClient:
    """Made at first use, so that a forked worker has connections of its own."""
    seconds = settings.NEIS_TIMEOUT_SECONDS
    return NeisClient(
        base_url=settings.NEIS_BASE_URL,
        keys=StoredKeys(settings.NEIS_API_KEYS, secret=settings.SECRET_KEY),
        limits=Limits(
            connect_seconds=min(5.0, seconds),
            read_seconds=min(10.0, seconds),
            request_seconds=seconds,
        ),
        gate=_gate(),
    )


def _gate() -> Gate:
    pool = redis.ConnectionPool.from_url(
        settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5
    )
    return Gate(
        connection=redis.Redis(connection_pool=pool),
        storage=limits.storage.RedisStorage(
            "redis://", connection_pool=pool, key_prefix="neis:limits", wrap_exceptions=True
        ),
        requests_per_second=settings.NEIS_REQUESTS_PER_SECOND,
        max_in_flight=settings.NEIS_MAX_IN_FLIGHT,
        # A slot is held through the wait for the rate and the request, which the deadline ends.
        slot_seconds=settings.FETCH_DEADLINE_SECONDS + settings.NEIS_TIMEOUT_SECONDS,
    )
