"""Weeks and windows. Pure: dates in, dates out, in Korean time as NEIS has it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

KOREA = ZoneInfo("Asia/Seoul")


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def window(first_monday: date, weeks: int) -> Sequence[date]:
    """The Mondays of `weeks` weeks."""
    return [first_monday + timedelta(weeks=week) for week in range(weeks)]


def first_monday_at(moment: datetime, *, offset: int) -> date:
    """The first Monday of a window that begins `offset` weeks from the week of `moment`."""
    return monday_of(moment.astimezone(KOREA).date()) + timedelta(weeks=offset)


def next_day_begins(moment: datetime) -> datetime:
    """The next midnight in Korea: when NEIS is taken to count a key's calls anew."""
    tomorrow = moment.astimezone(KOREA).date() + timedelta(days=1)
    return datetime.combine(tomorrow, datetime.min.time(), tzinfo=KOREA)
