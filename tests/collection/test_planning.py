"""Weeks in Korean time, whatever the clock's zone is."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from collection.planning import KOREA, first_monday_at, monday_of, next_day_begins, window


@pytest.mark.parametrize(
    ("day", "monday"),
    [
        (date(2026, 6, 8), date(2026, 6, 8)),
        (date(2026, 6, 14), date(2026, 6, 8)),
        (date(2026, 6, 15), date(2026, 6, 15)),
        (date(2027, 1, 1), date(2026, 12, 28)),
        (date(2028, 3, 1), date(2028, 2, 28)),
    ],
    ids=str,
)
def test_monday_of_a_week_when_day_is(day: date, monday: date) -> None:
    assert monday_of(day) == monday


@pytest.mark.parametrize(
    ("moment", "offset", "monday"),
    [
        pytest.param(datetime(2026, 6, 14, 14, 59, tzinfo=UTC), 0, date(2026, 6, 8), id="Sunday"),
        pytest.param(datetime(2026, 6, 14, 15, 0, tzinfo=UTC), 0, date(2026, 6, 15), id="Monday"),
        pytest.param(datetime(2026, 6, 14, 15, 0, tzinfo=UTC), -1, date(2026, 6, 8), id="before"),
        pytest.param(datetime(2026, 12, 31, 15, tzinfo=UTC), 1, date(2027, 1, 4), id="new year"),
        pytest.param(
            datetime(2026, 6, 14, 8, tzinfo=timezone(timedelta(hours=-7))),
            0,
            date(2026, 6, 15),
            id="clock in California",
        ),
    ],
)
def test_window_begins_on_the_korean_monday_when_it_is(
    moment: datetime, offset: int, monday: date
) -> None:
    assert first_monday_at(moment, offset=offset) == monday


def test_window_has_each_monday_once_when_it_crosses_the_year() -> None:
    assert window(date(2026, 12, 28), 3) == [
        date(2026, 12, 28),
        date(2027, 1, 4),
        date(2027, 1, 11),
    ]


@pytest.mark.parametrize(
    ("moment", "begins"),
    [
        (datetime(2026, 6, 14, 14, 59, 59, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=KOREA)),
        (datetime(2026, 6, 14, 15, 0, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=KOREA)),
        (datetime(2026, 12, 31, 23, tzinfo=KOREA), datetime(2027, 1, 1, tzinfo=KOREA)),
    ],
    ids=str,
)
def test_next_day_begins_at_korean_midnight_when_it_is(moment: datetime, begins: datetime) -> None:
    assert next_day_begins(moment) == begins
    assert next_day_begins(moment) > moment
