"""Numbers and times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone, translation

from dashboard.templatetags import formats


@pytest.fixture(autouse=True)
def _english() -> object:
    with translation.override("en"):
        yield


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.25, "250 ms"),
        (4.26, "4.3 s"),
        (59.6, "1 min 0 s"),
        (192, "3 min 12 s"),
        (timedelta(hours=2, minutes=5, seconds=40), "2 h 5 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
    ids=str,
)
def test_duration_is_told_in_its_two_largest_units(
    span: float | timedelta | None, text: str
) -> None:
    assert formats.duration(span) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0.0, "0.0 %"), (1.0, "100.0 %"), (0.99999, "99.9 %"), (0.00001, "0.1 %")],
    ids=str,
)
def test_all_and_nothing_are_said_of_all_and_nothing_alone(share: float, text: str) -> None:
    assert formats.percent(share) == text


def test_moment_is_relative_and_names_the_time_in_korea() -> None:
    at = timezone.now() - timedelta(minutes=7, seconds=30)

    text = formats.moment(at)

    assert ">7 min ago</time>" in text
    assert f'title="{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"' in text


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (timedelta(seconds=40, milliseconds=500), "in 40 s"),
        (timedelta(hours=5, minutes=3, seconds=1), "in 5 h 3 min"),
        (timedelta(days=-12), "12 d ago"),
    ],
    ids=str,
)
def test_moment_looks_ahead_and_far_back(ahead: timedelta, text: str) -> None:
    assert f">{text}</time>" in formats.moment(timezone.now() + ahead)


def test_clock_is_korean_whatever_the_zone_of_the_value() -> None:
    assert ">2026-06-08 04:00:00</time>" in formats.clock(datetime(2026, 6, 7, 19, tzinfo=UTC))
