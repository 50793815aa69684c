"""A client of the NEIS Open API. It knows neither Django nor Celery."""

from collection.neis.answers import Answer
from collection.neis.client import Limits, NeisClient
from collection.neis.errors import (
    BadRequest,
    ConnectionFailed,
    DeadlinePassed,
    Incomplete,
    KeyMissing,
    KeyProblem,
    KeyRefused,
    KeySpent,
    Malformed,
    NeisError,
    Refused,
    ServerFault,
    Throttled,
    TimedOut,
    Transient,
)
from collection.neis.keys import Key, KeyRing, Keys
from collection.neis.services import SERVICES, Service

__all__ = [
    "SERVICES",
    "Answer",
    "BadRequest",
    "ConnectionFailed",
    "DeadlinePassed",
    "Incomplete",
    "Key",
    "KeyMissing",
    "KeyProblem",
    "KeyRefused",
    "KeyRing",
    "KeySpent",
    "Keys",
    "Limits",
    "Malformed",
    "NeisClient",
    "NeisError",
    "Refused",
    "ServerFault",
    "Service",
    "Throttled",
    "TimedOut",
    "Transient",
]
