"""How long a run still needs. Pure: what was done lately goes in, a time with its band comes out."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, dropwhile

_FEWEST_SLICES = 3
_LEAST_ERROR = 0.05
_MOST_ERROR = 0.4
# Nothing is known yet of how much the rest asks for.
_ERROR_OF_UNKNOWN_WORK = 0.25


@dataclass(frozen=True, slots=True)
class Left:
    """What is still to be done. `work` is in the unit of the work done lately; no run ends before
    `last_retry_seconds`, when its last retry is due."""

    work: float
    schools: int
    last_retry_seconds: float = 0.0
    work_is_known: bool = True


@dataclass(frozen=True, slots=True)
class Retrying:
    """`failing` is the share of attempts that are tried again, `waits` the seconds after each."""

    failing: float = 0.0
    waits: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low` and `high` hold the true time in most cases; all in seconds."""

    seconds: float
    low: float
    high: float


def look_back_seconds(elapsed: float) -> float:
    """How much of the past speaks for the future: the later half, so that a slow start is
    forgotten, and ten minutes at most, so that a pause is."""
    return min(max(elapsed / 2, 20.0), 600.0)


def time_left(
    done_lately: Sequence[float], *, slice_seconds: float, left: Left, retrying: Retrying
) -> Estimate | None:
    """`done_lately`: the work of each slice of time, the oldest first. None while too little
    was seen."""
    slices = list(dropwhile(lambda work: not work, done_lately))
    if len(slices) < _FEWEST_SLICES or not left.work:
        return None
    mean = statistics.fmean(slices)
    first_attempts = left.work / mean * slice_seconds
    tail = _tail_seconds(left.schools, first_attempts, retrying)
    seconds = max(first_attempts + tail, left.last_retry_seconds)
    error = _relative_error(slices, mean) + (0 if left.work_is_known else _ERROR_OF_UNKNOWN_WORK)
    return Estimate(
        seconds=seconds,
        low=max(first_attempts / (1 + error) + tail / 2, left.last_retry_seconds),
        high=max(first_attempts / (1 - min(error, _MOST_ERROR)) + tail * 2, seconds),
    )


def _relative_error(slices: Sequence[float], mean: float) -> float:
    """Two standard errors of the mean."""
    error = 2 * statistics.stdev(slices) / math.sqrt(len(slices)) / mean
    return min(max(error, _LEAST_ERROR), _MOST_ERROR)


def _tail_seconds(schools: int, first_attempts: float, retrying: Retrying) -> float:
    """By how much the retries outlast the first attempts, at the median.

    Schools begin evenly over `first_attempts`, and one that fails k times ends a chain of k waits
    later. The tail is where the expected number of chains that reach past it falls to ln 2.
    """
    chains = [
        (retrying.failing**number * (1 - retrying.failing), length)
        for number, length in enumerate(accumulate(retrying.waits), start=1)
    ]
    per_second = schools / first_attempts

    def reaching(tail: float) -> float:
        return sum(
            min(per_second * max(length - tail, 0.0), schools) * share for share, length in chains
        )

    low, high = 0.0, sum(retrying.waits)
    if reaching(low) <= math.log(2):
        return 0.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if reaching(middle) > math.log(2) else (low, middle)
    return high
