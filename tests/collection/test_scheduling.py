"""When schedules are due, and how they are said."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from collection import scheduling
from collection.scheduling import Schedule

ANCHOR = datetime(2026, 6, 12, 3, 7, 30, tzinfo=UTC)


def crontab(text: str, zone: str = "Asia/Seoul") -> CrontabSchedule:
    """An unsaved row; `text` is in cron's order: minute hour day month weekday."""
    minute, hour, day, month, weekday = text.split()
    return CrontabSchedule(
        minute=minute,
        hour=hour,
        day_of_month=day,
        month_of_year=month,
        day_of_week=weekday,
        timezone=ZoneInfo(zone),
    )


def cron(text: str, zone: str = "Asia/Seoul", **fields: Any) -> Schedule:
    task = PeriodicTask(crontab=crontab(text, zone), **fields)
    return scheduling.schedule_of(task, anchor=ANCHOR)


def interval(every: int, period: str, **fields: Any) -> Schedule:
    task = PeriodicTask(interval=IntervalSchedule(every=every, period=period), **fields)
    return scheduling.schedule_of(task, anchor=ANCHOR)


def at(text: str, zone: str = "Asia/Seoul") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


CRONTABS = [
    # Around midnight in Korea, where UTC has another date and weekday.
    ("0 0 * * 1", "Asia/Seoul", "2026-06-07 23:59", ["2026-06-08T00:00+09:00"]),
    ("0 0 * * 1", "Asia/Seoul", "2026-06-08 00:00", ["2026-06-15T00:00+09:00"]),
    ("59 23 * * 0", "Asia/Seoul", "2026-06-08 00:30", ["2026-06-14T23:59+09:00"]),
    ("30 8 1 * *", "Asia/Seoul", "2026-06-30 23:00", ["2026-07-01T08:30+09:00"]),
    # 02:30 is left out on 29 March 2026, and 25 October has it twice.
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28 12:00",
        ["2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"],
    ),
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24 12:00",
        ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
    ),
    # The hour that is missing falls onto the next one, and is due once.
    (
        "0 * * * *",
        "Europe/Berlin",
        "2026-03-29 00:30",
        ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"],
    ),
    (
        "0 * * * *",
        "Europe/Berlin",
        "2026-10-25 01:30",
        ["2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00"],
    ),
    # Both must match, as Celery has it: cron would take either.
    ("0 4 1 * 1", "Asia/Seoul", "2026-05-30 00:00", ["2026-06-01T04:00+09:00", "2027-02-01T04:00+09:00"]),
    ("0 4 31 * *", "Asia/Seoul", "2026-04-01 00:00", ["2026-05-31T04:00+09:00", "2026-07-31T04:00+09:00"]),
    ("0 4 29 2 *", "Asia/Seoul", "2026-03-01 00:00", ["2028-02-29T04:00+09:00"]),
    ("0 4 29 2 1", "Asia/Seoul", "2072-03-01 00:00", ["2112-02-29T04:00+09:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "zone", "after", "expected"), CRONTABS, ids=str)
def test_crontab_is_next_due_when_it_is(
    text: str, zone: str, after: str, expected: list[str]
) -> None:
    times = cron(text, zone).next_times(at(after, zone), len(expected))

    assert times == [datetime.fromisoformat(moment) for moment in expected]


@pytest.mark.parametrize(("text", "zone", "after", "expected"), CRONTABS, ids=str)
def test_the_way_back_meets_the_same_times_when_crontab_is(
    text: str, zone: str, after: str, expected: list[str]
) -> None:
    schedule = cron(text, zone)
    last = datetime.fromisoformat(expected[-1])

    back = schedule.latest_times(at_or_before=last, after=at(after, zone), most=99)

    assert back == [datetime.fromisoformat(moment) for moment in expected]
    just_before = schedule.latest_times(
        at_or_before=last - timedelta.resolution, after=at(after, zone), most=99
    )
    assert just_before == back[:-1]


@pytest.mark.parametrize(
    ("every", "period", "after", "expected"),
    [
        (6, "hours", ANCHOR, ANCHOR + timedelta(hours=6)),
        (6, "hours", ANCHOR + timedelta(hours=13), ANCHOR + timedelta(hours=18)),
        (10, "seconds", ANCHOR + timedelta(seconds=10), ANCHOR + timedelta(seconds=20)),
        (1, "days", ANCHOR - timedelta(days=9), ANCHOR + timedelta(days=1)),
    ],
    ids=str,
)
def test_interval_keeps_its_step_when_asked_late(
    every: int, period: str, after: datetime, expected: datetime
) -> None:
    assert interval(every, period).next_times(after, 1) == [expected]


def test_latest_is_none_when_nothing_was_due_since() -> None:
    schedule = interval(6, "hours")
    due = ANCHOR + timedelta(hours=6)

    assert schedule.latest(at_or_before=due, after=ANCHOR) == due
    assert schedule.latest(at_or_before=due + timedelta(hours=5), after=due) is None
    assert schedule.latest(at_or_before=ANCHOR, after=ANCHOR - timedelta(days=9)) is None


def test_only_times_between_start_and_end_are_due_when_a_task_has_both() -> None:
    bounds = {"start_time": at("2026-06-09 04:00"), "expires": at("2026-06-11 04:00")}
    schedule = cron("0 4 * * *", **bounds)
    expected = [at("2026-06-09 04:00"), at("2026-06-10 04:00")]

    assert schedule.next_times(at("2026-06-01 00:00"), 9) == expected
    assert (
        schedule.latest_times(
            at_or_before=at("2026-07-01 00:00"), after=at("2026-06-01 00:00"), most=9
        )
        == expected
    )
    assert interval(1, "days", **bounds).next_times(at("2026-06-01 00:00"), 9) == expected


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (PeriodicTask(crontab=crontab("0 4 31 2 *")), "no such date"),
        (PeriodicTask(crontab=crontab("0 4 31 4,6,9,11 *")), "no such date"),
        (PeriodicTask(crontab=crontab("0 25 * * *")), "0 25 * * *"),
        (PeriodicTask(crontab=crontab("x 4 * * *")), "x 4 * * *"),
        (PeriodicTask(), "crontab or an interval"),
        (PeriodicTask(solar=SolarSchedule(), one_off=False), "crontab or an interval"),
        (PeriodicTask(clocked=ClockedSchedule(), one_off=True), "crontab or an interval"),
        (PeriodicTask(crontab=crontab("0 4 * * *"), one_off=True), "again and again"),
        (
            PeriodicTask(interval=IntervalSchedule(every=5, period="microseconds")),
            "once a second",
        ),
    ],
    ids=["31 February", "31 of short months", "hour 25", "x", "none", "solar", "clocked", "once", "µs"],
)  # fmt: skip
def test_schedule_is_refused_with_a_reason_when_no_job_can_have_it(
    task: PeriodicTask, says: str
) -> None:
    with translation.override("en"), pytest.raises(ValidationError) as refused:
        scheduling.schedule_of(task, anchor=ANCHOR)

    assert says in " ".join(refused.value.messages)


def test_fingerprint_changes_when_the_schedule_does_and_only_then() -> None:
    def of(text: str = "0 4 * * 1", zone: str = "Asia/Seoul", **fields: Any) -> str:
        return scheduling.fingerprint(PeriodicTask(crontab=crontab(text, zone), **fields))

    known = of()

    assert of(last_run_at=ANCHOR, total_run_count=7, description="other") == known
    others = [
        of("0 4 * * 2"),
        of(zone="Europe/Berlin"),
        of(start_time=ANCHOR),
        of(expires=ANCHOR),
        scheduling.fingerprint(PeriodicTask(interval=IntervalSchedule(every=1, period="days"))),
    ]
    assert len({known, *others}) == 6
    assert of(enabled=False) == ""


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (cron("0 4 * * 1"), "Every Monday at 04:00"),
        (cron("0 4 * * sun"), "Every Sunday at 04:00"),
        (cron("0 4 * * 1,4"), "Mondays and Thursdays at 04:00"),
        (cron("0 4 * * 0,6,3"), "Wednesdays, Saturdays and Sundays at 04:00"),
        (cron("30 3 * * *"), "Every day at 03:30"),
        (cron("30 3 * * 0-6"), "Every day at 03:30"),
        (cron("0 4 * * 1", "Europe/Berlin"), "Every Monday at 04:00 (Europe/Berlin)"),
        (interval(6, "hours"), "Every 6 hours"),
        (interval(1, "days"), "Every day"),
        (cron("0 4 1 * *"), "At 04:00, on day 1 of the month"),
        (cron("0 */2 * * *"), "Every 2 hours"),
        (cron("0 4 1 * 1"), "At 04:00, on day 1 of the month, only on Monday, when both match"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_schedule_is_said_in_words(schedule: Schedule, words: str) -> None:
    with translation.override("en"):
        assert scheduling.in_words(schedule) == words


def test_days_and_months_are_korean_when_a_crontab_is_described_in_korean() -> None:
    with translation.override("ko"):
        words = scheduling.in_words(cron("0 4 1 3 *"))

    assert "3월" in words
    assert "March" not in words
