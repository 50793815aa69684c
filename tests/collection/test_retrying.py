"""The rule of every error."""

import pytest

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
    NeisError,
    ServerFault,
    Throttled,
    TimedOut,
    Transient,
)
from collection.retrying import Fail, Pause, Retry, RetryRule, Verdict, classify, judge

RULE = RetryRule(most_failures=5, first_seconds=20)


def verdict(
    error: Exception,
    *,
    failures: int = 0,
    throttled: int = 0,
    outage: bool = False,
    chance: float = 0.0,
) -> Verdict:
    return judge(
        error, failures=failures, throttled=throttled, outage=outage, rule=RULE, chance=chance
    )


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (TimedOut(""), ErrorClass.TIMED_OUT),
        (ConnectionFailed(""), ErrorClass.CONNECTION_FAILED),
        (ServerFault(""), ErrorClass.SERVER_FAULT),
        (Throttled(""), ErrorClass.THROTTLED),
        (Malformed(""), ErrorClass.MALFORMED),
        (Incomplete(""), ErrorClass.INCOMPLETE),
        (Transient(""), ErrorClass.TRANSIENT),
        (DeadlinePassed(""), ErrorClass.DEADLINE),
        (BadRequest(""), ErrorClass.BAD_REQUEST),
        (KeyMissing(""), ErrorClass.KEY_MISSING),
        (KeySpent(""), ErrorClass.KEY_SPENT),
        (KeyRefused(""), ErrorClass.KEY_REFUSED),
        (ValueError(""), ErrorClass.BUG),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_class_of_error_when(error: Exception, error_class: ErrorClass) -> None:
    assert classify(error) is error_class


def leaves(kind: type[NeisError]) -> list[type[NeisError]]:
    children = kind.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [kind]


@pytest.mark.parametrize("kind", leaves(NeisError), ids=lambda kind: kind.__name__)
def test_error_has_a_class_of_its_own_when_the_client_raises_it(kind: type[NeisError]) -> None:
    assert classify(kind("")) is not ErrorClass.BUG


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeySpent(""), Pause(PauseReason.QUOTA)),
        (KeyRefused(""), Pause(PauseReason.KEYS)),
        (BadRequest(""), Fail()),
        (KeyMissing(""), Fail()),
        (ZeroDivisionError(), Fail()),
        (TimedOut(""), Retry(10, counts=True)),
        (ConnectionFailed(""), Retry(10, counts=True)),
        (ServerFault(""), Retry(10, counts=True)),
        (Malformed(""), Retry(10, counts=True)),
        (Incomplete(""), Retry(10, counts=True)),
        (Transient(""), Retry(10, counts=True)),
        (DeadlinePassed(""), Retry(10, counts=True)),
        (Throttled(""), Retry(10, counts=False)),
        (Throttled("", retry_after_seconds=0), Retry(10, counts=False)),
        (Throttled("", retry_after_seconds=70), Retry(80, counts=False)),
        (Throttled("", retry_after_seconds=86400), Retry(3610, counts=False)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_verdict_when_error_is(error: Exception, expected: Verdict) -> None:
    assert verdict(error) == expected


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"),
    [(0, 10, 20), (1, 20, 40), (2, 40, 80), (3, 80, 160)],
)
def test_wait_doubles_and_is_half_random_when_failures(
    failures: int, shortest: float, longest: float
) -> None:
    error = TimedOut("")

    assert verdict(error, failures=failures, chance=0.0) == Retry(shortest, counts=True)
    assert verdict(error, failures=failures, chance=1.0) == Retry(longest, counts=True)


def test_wait_is_at_most_a_quarter_of_an_hour_when_failures_go_on() -> None:
    rule = RetryRule(most_failures=50, first_seconds=20)

    waits = [
        judge(TimedOut(""), failures=failures, throttled=0, outage=False, rule=rule, chance=1.0)
        for failures in (6, 20, 48)
    ]

    assert waits == [Retry(900, counts=True)] * 3


@pytest.mark.parametrize(
    ("error", "throttled", "failures", "gives_up"),
    [
        pytest.param(TimedOut(""), 0, 3, False, id="fourth failure"),
        pytest.param(TimedOut(""), 0, 4, True, id="fifth failure"),
        pytest.param(Throttled(""), 0, 4, False, id="throttled does not count"),
        pytest.param(Throttled(""), 18, 0, False, id="throttled nineteen times"),
        pytest.param(Throttled(""), 19, 0, True, id="throttled for ever"),
        pytest.param(KeySpent(""), 99, 4, False, id="a spent key is nobody's failure"),
    ],
)
def test_fetch_is_given_up_when(
    error: Exception, throttled: int, failures: int, gives_up: bool
) -> None:
    assert (verdict(error, throttled=throttled, failures=failures) == Fail()) is gives_up


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimedOut(""), Retry(10, counts=False)),
        (ServerFault(""), Retry(10, counts=False)),
        (DeadlinePassed(""), Retry(10, counts=False)),
        (BadRequest(""), Fail()),
        (KeySpent(""), Pause(PauseReason.QUOTA)),
        (ZeroDivisionError(), Fail()),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_verdict_in_an_outage_when_error_is(error: Exception, expected: Verdict) -> None:
    assert verdict(error, failures=4, outage=True) == expected
