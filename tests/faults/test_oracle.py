"""The judge judged: each kind of damage is seen, and nothing else."""

from collections import Counter

import pytest

from tests.faults.measuring import Injected
from tests.faults.oracle import Verdict

WEEK = Counter({("7000001", "국어"): 1, ("7000001", "수학"): 1})


@pytest.mark.parametrize(
    ("stored", "expected", "counted"),
    [
        pytest.param(WEEK, WEEK, None, id="right"),
        pytest.param(Counter(), WEEK, "missing", id="nothing stored"),
        pytest.param(WEEK, Counter(), "extra", id="stored without reason"),
        pytest.param(WEEK + WEEK, WEEK, "doubled", id="stored twice"),
        pytest.param(Counter(list(WEEK)[:1]), WEEK, "wrong", id="half a week"),
        pytest.param(Counter({("7000001", "체육"): 2}), WEEK, "wrong", id="another week"),
        pytest.param(Counter(), Counter(), None, id="nothing, and rightly so"),
    ],
)
def test_week_is_counted_once_by_what_is_wrong_with_it(
    stored: Counter[tuple[str, ...]], expected: Counter[tuple[str, ...]], counted: str | None
) -> None:
    verdict = Verdict()
    verdict.note(stored, expected)

    counts = {name: getattr(verdict, name) for name in ("missing", "doubled", "wrong", "extra")}
    assert {name for name, count in counts.items() if count} == ({counted} if counted else set())
    assert verdict.is_right == (counted is None)


def test_progress_is_the_time_from_each_fault_to_the_next_end() -> None:
    injected = Injected([(10.0, "a"), (20.0, "b"), (40.0, "after the last")])

    assert injected.progress_seconds([5.0, 11.0, 24.0]) == (2.5, 4.0)
