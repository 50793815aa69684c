"""The time left, held against simulated runs whose end is known."""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from dashboard.runs.estimating import Estimate, Left, Retrying, look_back_seconds, time_left

SLICES = 20
WAITS = [15.0, 30.0, 60.0, 120.0]


@dataclass(frozen=True)
class Simulated:
    """When each school of a run was done, with its work, and when the run was over."""

    done: Sequence[tuple[float, float]]
    end: float
    failing: float


def simulate(
    *,
    schools: int = 6000,
    workers: int = 16,
    start_seconds: float = 0.0,
    failing: float = 0.0,
    heavy_first: float = 1.0,
    seed: int = 7,
) -> Simulated:
    """Workers come one by one within `start_seconds`. A share of attempts fails and is tried again
    after a backoff. The first half of the schools is `heavy_first` times the work of the rest."""
    dice = random.Random(seed)
    ready = [(number, 0) for number in range(schools)]
    waiting: list[tuple[float, int, int]] = []
    free = [start_seconds * worker / workers for worker in range(workers)]
    done: list[tuple[float, float]] = []
    while ready or waiting:
        now = heapq.heappop(free)
        while waiting and (waiting[0][0] <= now or not ready):
            due, number, failures = heapq.heappop(waiting)
            heapq.heappush(ready, (number, failures))
            now = max(now, due)
        number, failures = heapq.heappop(ready)
        work = heavy_first if number < schools / 2 else 1.0
        ended = now + work * dice.uniform(0.5, 3.0)
        heapq.heappush(free, ended)
        if failures < len(WAITS) and dice.random() < failing:
            wait = WAITS[failures] * dice.uniform(2 / 3, 4 / 3)
            heapq.heappush(waiting, (ended + wait, number, failures + 1))
        else:
            done.append((ended, work))
    return Simulated(sorted(done), max(ended for ended, _ in done), failing)


def estimate_at(run: Simulated, share: float) -> tuple[float, Estimate]:
    """True time left, and the estimate, when `share` of the schools is done."""
    now = run.done[int(len(run.done) * share)][0]
    width = look_back_seconds(now) / SLICES
    slices = [0.0] * SLICES
    for ended, work in run.done:
        number = SLICES - 1 - int((now - ended) // width)
        if ended <= now and number >= 0:
            slices[number] += work
    left = [work for ended, work in run.done if ended > now]
    estimate = time_left(
        slices,
        slice_seconds=width,
        left=Left(work=sum(left), schools=len(left)),
        retrying=Retrying(run.failing, WAITS),
    )
    assert estimate is not None
    return run.end - now, estimate


def left_after(done_lately: Sequence[float], **left: Any) -> Estimate | None:
    return time_left(
        done_lately,
        slice_seconds=1,
        left=Left(**{"work": 100, "schools": 100, **left}),
        retrying=Retrying(),
    )


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize(
    "run",
    [
        {},
        {"start_seconds": 30.0},
        {"failing": 0.05},
        {"failing": 0.1, "start_seconds": 30.0},
        {"heavy_first": 3.0},
        {"schools": 1500, "workers": 4, "failing": 0.05},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [7, 11])
def test_estimate_is_within_15_percent_from_the_first_tenth_on(
    run: dict[str, Any], share: float, seed: int
) -> None:
    true, estimate = estimate_at(simulate(seed=seed, **run), share)

    assert estimate.seconds == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("failing", [0.0, 0.05, 0.2])
def test_band_holds_the_true_time(failing: float, share: float) -> None:
    true, estimate = estimate_at(simulate(failing=failing, start_seconds=30.0), share)

    assert estimate.low <= true <= estimate.high


def test_band_is_wide_when_the_pace_changes_and_narrow_when_it_holds() -> None:
    steady, uneven = left_after([10] * 20), left_after([1, 19] * 10)

    assert steady is not None
    assert uneven is not None
    assert steady.high - steady.low < uneven.high - uneven.low


def test_what_was_before_a_pause_or_the_first_school_does_not_count() -> None:
    estimate = left_after([0, 0, 0, 0, 5, 5, 5, 5])

    assert estimate is not None
    assert estimate.seconds == pytest.approx(20)


def test_run_does_not_end_before_its_last_retry() -> None:
    estimate = left_after([50] * 8, last_retry_seconds=90)

    assert estimate is not None
    assert estimate.low == estimate.seconds == 90


@pytest.mark.parametrize("done_lately", [[], [0.0] * 18 + [4, 4]], ids=["nothing", "a little"])
def test_there_is_no_estimate_when_too_little_was_seen(done_lately: list[float]) -> None:
    assert left_after(done_lately) is None
