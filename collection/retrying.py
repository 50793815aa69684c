"""What becomes of a fetch whose attempt failed. Pure: the rule of every error, in one place."""

from dataclasses import dataclass

from collection.models import ErrorClass, PauseReason
from collection.neis import (
    BadRequest,
    ConnectionFailed,
    DeadlinePassed,
    Incomplete,
    KeyMissing,
    KeyRefused,
    KeySpent,
    Malformed,
    ServerFault,
    Throttled,
    TimedOut,
    Transient,
)

MOST_BACKOFF_SECONDS = 15 * 60
MOST_RETRY_AFTER_SECONDS = 60 * 60
# Being throttled costs nothing, yet it may not go on for ever.
THROTTLED_FOR_EACH_FAILURE = 4

_CLASSES: tuple[tuple[type[Exception], ErrorClass], ...] = (
    (TimedOut, ErrorClass.TIMED_OUT),
    (ConnectionFailed, ErrorClass.CONNECTION_FAILED),
    (ServerFault, ErrorClass.SERVER_FAULT),
    (Throttled, ErrorClass.THROTTLED),
    (Malformed, ErrorClass.MALFORMED),
    (Incomplete, ErrorClass.INCOMPLETE),
    (Transient, ErrorClass.TRANSIENT),
    (DeadlinePassed, ErrorClass.DEADLINE),
    (BadRequest, ErrorClass.BAD_REQUEST),
    (KeyMissing, ErrorClass.KEY_MISSING),
    (KeySpent, ErrorClass.KEY_SPENT),
    (KeyRefused, ErrorClass.KEY_REFUSED),
)


@dataclass(frozen=True, slots=True)
class Retry:
    """`counts` tells whether the attempt is held against the fetch's cap."""

    after_seconds: float
    counts: bool


@dataclass(frozen=True, slots=True)
class Fail:
    pass


@dataclass(frozen=True, slots=True)
class Pause:
    """The run waits as a whole: every other fetch would fail the same way."""

    reason: PauseReason


Verdict = Retry | Fail | Pause


@dataclass(frozen=True, slots=True)
class RetryRule:
    most_failures: int = 5
    first_seconds: float = 20.0


def classify(error: Exception) -> ErrorClass:
    for kind, error_class in _CLASSES:
        if isinstance(error, kind):
            return error_class
    return ErrorClass.BUG


def judge(
    error: Exception,
    *,
    failures: int,
    throttled: int,
    outage: bool,
    rule: RetryRule,
    chance: float,
) -> Verdict:
    """`failures` and `throttled`, how often NEIS had no room, leave this one out. In an `outage`
    nothing of NEIS's own is held against a fetch. `chance`, from 0 to 1, is for the jitter."""
    if isinstance(error, KeySpent):
        return Pause(PauseReason.QUOTA)
    if isinstance(error, KeyRefused):
        return Pause(PauseReason.KEYS)
    if not isinstance(error, Transient | DeadlinePassed):
        return Fail()
    if isinstance(error, Throttled):
        if throttled + 1 >= rule.most_failures * THROTTLED_FOR_EACH_FAILURE:
            return Fail()
        return Retry(_asked_for(error, rule, chance), counts=False)
    if outage:
        return Retry(backoff_seconds(0, rule, chance), counts=False)
    if failures + 1 >= rule.most_failures:
        return Fail()
    return Retry(backoff_seconds(failures, rule, chance), counts=True)


def backoff_seconds(failures: int, rule: RetryRule, chance: float) -> float:
    """Doubles with every failure; half of it fixed, half of it random, so that it is never 0."""
    full = min(float(MOST_BACKOFF_SECONDS), rule.first_seconds * 2.0**failures)
    return full / 2 + chance * full / 2


def _asked_for(error: Throttled, rule: RetryRule, chance: float) -> float:
    """Never before the time NEIS named, and not everybody at that very moment."""
    asked = min(error.retry_after_seconds or 0.0, MOST_RETRY_AFTER_SECONDS)
    return asked + backoff_seconds(0, rule, chance)
