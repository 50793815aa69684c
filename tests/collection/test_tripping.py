"""When a row of results says that NEIS is down."""

from datetime import UTC, datetime, timedelta

import pytest

from collection.tripping import Result, TripRule, down_since

NOW = datetime(2026, 6, 8, 3, tzinfo=UTC)
RULE = TripRule(looked_at=50, share=0.5, in_a_row=20, for_long=timedelta(seconds=60))


def results(pattern: str, *, apart: float = 0.1) -> list[Result]:
    """`x` is a fault and `.` an answer, the newest first."""
    return [
        Result(NOW - timedelta(seconds=number * apart), fault=sign == "x")
        for number, sign in enumerate(pattern)
    ]


@pytest.mark.parametrize(
    ("pattern", "apart", "first_fault"),
    [
        pytest.param("", 0.1, None, id="nothing yet"),
        pytest.param("." * 50, 0.1, None, id="all well"),
        pytest.param("x" * 19 + "." * 31, 0.1, None, id="nineteen in a row"),
        pytest.param("x" * 20 + "." * 30, 0.1, 19, id="twenty in a row"),
        pytest.param("x" * 20, 0.1, 19, id="twenty and nothing else"),
        pytest.param("x" * 20 + "..x.", 0.1, 22, id="twenty, and one while others were answered"),
        pytest.param("x" * 20 + "..x.", 29, 19, id="twenty, and one long before"),
        pytest.param("x." * 25, 0.1, 48, id="every other"),
        pytest.param("x." * 24 + "..", 0.1, None, id="nearly every other"),
        pytest.param("x." * 20, 0.1, None, id="every other, of too few"),
        pytest.param("x." * 24 + ".." + "x" * 50, 0.1, None, id="older ones are left out"),
        pytest.param("xxx.", 30, 2, id="three in a minute and nothing between"),
        pytest.param("xxx.", 29, None, id="three in less than a minute"),
        pytest.param("xx.x", 60, None, id="two in a minute"),
    ],
)
def test_neis_is_down_or_not_when(pattern: str, apart: float, first_fault: int | None) -> None:
    row = results(pattern, apart=apart)

    assert down_since(row, RULE) == (None if first_fault is None else row[first_fault].at)
