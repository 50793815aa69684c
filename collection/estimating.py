"""How many requests a run takes, and how long. Pure: arithmetic on what earlier runs needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

PAGE_ROWS = 1000
# Rows that NEIS sends twice are stored once: so much more is sent than is stored.
SENT_FOR_EACH_STORED = 1.035


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a school: the most entries of its latest weeks, and how many services
    may have its timetable."""

    weekly_entries: int
    services: int


@dataclass(frozen=True, slots=True)
class Past:
    """An ended run of the same kind."""

    seconds: float
    schools: int


def requests(schools: Iterable[Expected], *, weeks: int) -> int:
    """A page for each thousand rows, at least one; without any rows, one to each service."""
    return sum(_requests(school, weeks) for school in schools)


def _requests(school: Expected, weeks: int) -> int:
    rows = school.weekly_entries * weeks * SENT_FOR_EACH_STORED
    return max(1, -int(-rows // PAGE_ROWS)) if rows else school.services


def seconds(
    *, requests: int, schools: int, requests_per_second: float, past: Sequence[Past]
) -> float | None:
    """The longer of what the limit allows and what such runs took for each school; None when
    neither is known."""
    known = []
    if requests_per_second:
        known.append(requests / requests_per_second)
    if past:
        known.append(schools * median(run.seconds / run.schools for run in past))
    return max(known, default=None)
