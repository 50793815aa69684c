"""When a row of results says that NEIS itself is down. Pure: the breaker's rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an attempt that tells something about NEIS: it answered, or it did not."""

    at: datetime
    fault: bool


@dataclass(frozen=True, slots=True)
class TripRule:
    """Down is: half of the last `looked_at` are faults, or so many in a row, or all of them
    for so long. The last finds an outage when hardly anything is left to do.

    What was under way as it began may still be answered: faults up to `onset` before belong to it.
    """

    looked_at: int = 50
    share: float = 0.5
    in_a_row: int = 20
    for_long: timedelta = timedelta(seconds=60)
    for_long_at_least: int = 3
    onset: timedelta = timedelta(seconds=60)


def down_since(results: Sequence[Result], rule: TripRule) -> datetime | None:
    """`results` has the newest first. The time of the first fault that speaks for an outage;
    None when nothing does."""
    results = results[: rule.looked_at]
    faults = [result for result in results if result.fault]
    streak = list(takewhile(lambda result: result.fault, results))
    if len(streak) >= rule.in_a_row or _for_long(streak, rule):
        return min(result.at for result in faults if streak[-1].at - result.at <= rule.onset)
    if len(results) == rule.looked_at and len(faults) >= rule.share * len(results):
        return faults[-1].at
    return None


def _for_long(streak: Sequence[Result], rule: TripRule) -> bool:
    return len(streak) >= rule.for_long_at_least and streak[0].at - streak[-1].at >= rule.for_long
