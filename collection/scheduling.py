"""When a job is due, and how to say it. Pure: a periodic task in, times and words out.

A wall time that the change to summer time leaves out is moved on by the hour that is missing;
one that exists twice counts once, the first time.
"""

import calendar
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count as counting
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab
from cron_descriptor import CasingTypeEnum, ExpressionDescriptor, Options
from cron_descriptor.Exception import FormatException, MissingFieldException, WrongArgumentException
from django.core.exceptions import ValidationError
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.translation import get_language, gettext, gettext_lazy, ngettext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from collection.planning import KOREA

# 29 February falls on a given weekday once in 28 years, or in 40 over a year like 2100.
_MOST_DAYS_BETWEEN = 41 * 366
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS = range(7)
_DAY = timedelta(days=1)

_ONE_WEEKDAY = (
    gettext_lazy("Every Sunday at %(time)s"),
    gettext_lazy("Every Monday at %(time)s"),
    gettext_lazy("Every Tuesday at %(time)s"),
    gettext_lazy("Every Wednesday at %(time)s"),
    gettext_lazy("Every Thursday at %(time)s"),
    gettext_lazy("Every Friday at %(time)s"),
    gettext_lazy("Every Saturday at %(time)s"),
)
_WEEKDAYS = (
    gettext_lazy("Sundays"),
    gettext_lazy("Mondays"),
    gettext_lazy("Tuesdays"),
    gettext_lazy("Wednesdays"),
    gettext_lazy("Thursdays"),
    gettext_lazy("Fridays"),
    gettext_lazy("Saturdays"),
)


@dataclass(frozen=True, slots=True)
class Crontab:
    """The sets of a crontab, read by Celery; weekdays count from Sunday. All of them must match."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days_of_week: frozenset[int]
    days_of_month: frozenset[int]
    months: frozenset[int]
    zone: ZoneInfo
    expression: str

    def onward(self, after: datetime) -> Iterator[datetime]:
        first = after.astimezone(self.zone).date() - _DAY
        days = (first + timedelta(days=number) for number in range(_MOST_DAYS_BETWEEN))
        last = after
        for moment in (moment for day in days for moment in self._on(day)):
            if moment > last:
                yield moment
                last = moment

    def back(self, at_or_before: datetime) -> Iterator[datetime]:
        first = at_or_before.astimezone(self.zone).date()
        days = (first - timedelta(days=number) for number in range(_MOST_DAYS_BETWEEN))
        last = at_or_before + timedelta.resolution
        for moment in (moment for day in days for moment in reversed(self._on(day))):
            if moment < last:
                yield moment
                last = moment

    def _on(self, day: date) -> Sequence[datetime]:
        if (
            day.month not in self.months
            or day.day not in self.days_of_month
            or day.isoweekday() % 7 not in self.days_of_week
        ):
            return ()
        # With fold=0 a time left out is read with the offset before the gap: that moves it on.
        moments = {
            datetime.combine(day, time(hour, minute), tzinfo=self.zone).astimezone(UTC)
            for hour in self.hours
            for minute in self.minutes
        }
        return sorted(moments)


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so often from `first` on: however late one is started, the next is not."""

    every: timedelta
    first: datetime
    number: int
    period: str

    def onward(self, after: datetime) -> Iterator[datetime]:
        begin = max(0, (after - self.first) // self.every + 1)
        return (self.first + self.every * number for number in counting(begin))

    def back(self, at_or_before: datetime) -> Iterator[datetime]:
        last = (at_or_before - self.first) // self.every
        return (self.first + self.every * number for number in range(last, -1, -1))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Due times from `starts_at` on and before `ends_at`."""

    rule: Crontab | Interval
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def next_times(self, after: datetime, count: int) -> list[datetime]:
        """The next `count` due times; fewer when the schedule ends."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - timedelta.resolution)
        times = takewhile(self._before_end, self.rule.onward(after))
        return list(islice(times, count))

    def latest(self, *, at_or_before: datetime, after: datetime) -> datetime | None:
        times = self.latest_times(at_or_before=at_or_before, after=after, most=1)
        return times[0] if times else None

    def latest_times(self, *, at_or_before: datetime, after: datetime, most: int) -> list[datetime]:
        """The last `most` due times after `after`, the earliest first."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - timedelta.resolution)
        if self.ends_at is not None:
            at_or_before = min(at_or_before, self.ends_at - timedelta.resolution)
        times = takewhile(lambda moment: moment > after, self.rule.back(at_or_before))
        return list(islice(times, most))[::-1]

    def _before_end(self, moment: datetime) -> bool:
        return self.ends_at is None or moment < self.ends_at


def schedule_of(task: PeriodicTask, *, anchor: datetime) -> Schedule:
    """The schedule that a periodic task stands for, saved or not.

    The times of an interval count from its start time, else from `anchor`. Raises ValidationError
    with a text for operators when a job can't have such a schedule.
    """
    if task.one_off or task.solar or task.clocked or not (task.crontab or task.interval):
        raise ValidationError(gettext("A job is due by a crontab or an interval, again and again."))
    rule: Crontab | Interval
    if task.crontab:
        rule = read_crontab(task.crontab)
    else:
        rule = _read_interval(task.interval, first=task.start_time, anchor=anchor)
    return Schedule(rule, starts_at=task.start_time, ends_at=task.expires)


def fingerprint(task: PeriodicTask) -> str:
    """Another one for another schedule; "" for a task that is off. Reads nothing but the fields."""
    if not task.enabled:
        return ""
    parts: list[Any] = [task.start_time, task.expires, task.one_off]
    if task.crontab:
        parts += [_expression(task.crontab), task.crontab.timezone]
    if task.interval:
        parts += [task.interval.every, task.interval.period]
    text = "|".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_crontab(row: CrontabSchedule) -> Crontab:
    """Raises ValidationError when it can't be read, or when no day ever matches."""
    return _parse(
        str(row.minute), str(row.hour), str(row.day_of_month), str(row.month_of_year),
        str(row.day_of_week), str(row.timezone),
    )  # fmt: skip


@lru_cache(maxsize=1000)
def _parse(minute: str, hour: str, day: str, month: str, weekday: str, zone: str) -> Crontab:
    expression = " ".join(part.replace(" ", "") for part in (minute, hour, day, month, weekday))
    try:
        # Apart, as Celery refuses a date that never comes with words of its own.
        parsed: Any = crontab(minute, hour, weekday, month_of_year=month)
        days: Any = crontab(day_of_month=day)
    except (ValueError, ParseException) as error:
        raise ValidationError(
            gettext("The crontab “%(expression)s” can't be read: %(error)s"),
            params={"expression": expression, "error": error},
        ) from error
    rule = Crontab(
        minutes=frozenset(parsed.minute),
        hours=frozenset(parsed.hour),
        days_of_week=frozenset(parsed.day_of_week),
        days_of_month=frozenset(days.day_of_month),
        months=frozenset(parsed.month_of_year),
        zone=ZoneInfo(zone),
        expression=expression,
    )
    if not any(min(rule.days_of_month) <= _LONGEST_MONTH[month - 1] for month in rule.months):
        raise ValidationError(gettext("This schedule is never due: there is no such date."))
    return rule


def _read_interval(row: IntervalSchedule, *, first: datetime | None, anchor: datetime) -> Interval:
    every = timedelta(**{row.period: row.every})
    if every < timedelta(seconds=1):
        raise ValidationError(gettext("A job is due once a second at most."))
    return Interval(every=every, first=first or anchor + every, number=row.every, period=row.period)


def _expression(row: CrontabSchedule) -> str:
    return f"{row.minute} {row.hour} {row.day_of_month} {row.month_of_year} {row.day_of_week}"


def in_words(schedule: Schedule) -> str:
    """In the active language; the time zone is named when it is not Korea's."""
    rule = schedule.rule
    if isinstance(rule, Interval):
        return _interval_in_words(rule)
    words = _weekly_in_words(rule) or _described(rule)
    if rule.zone.key == KOREA.key:
        return words
    return gettext("%(schedule)s (%(zone)s)") % {"schedule": words, "zone": rule.zone.key}


def _weekly_in_words(rule: Crontab) -> str:
    """ "" when it is no time of day on weekdays alone."""
    if len(rule.minutes) > 1 or len(rule.hours) > 1:
        return ""
    if len(rule.days_of_month) < 31 or len(rule.months) < 12:
        return ""
    (hour,), (minute,) = rule.hours, rule.minutes
    at = f"{hour:02}:{minute:02}"
    if rule.days_of_week == frozenset(_DAYS):
        return gettext("Every day at %(time)s") % {"time": at}
    # The week of a console begins on Monday.
    days = sorted(rule.days_of_week, key=lambda day: (day - 1) % 7)
    if len(days) == 1:
        return str(_ONE_WEEKDAY[days[0]]) % {"time": at}
    *names, last = (str(_WEEKDAYS[day]) for day in days)
    joined = gettext("%(days)s and %(last)s") % {"days": ", ".join(names), "last": last}
    return gettext("%(days)s at %(time)s") % {"days": joined, "time": at}


def _described(rule: Crontab) -> str:
    options = Options()
    options.locale_code = "ko_KR" if get_language() == "ko" else "en_US"
    options.use_24hour_time_format = True
    options.casing_type = CasingTypeEnum.Sentence
    try:
        words = _translate_names(ExpressionDescriptor(rule.expression, options).get_description())
    except (FormatException, MissingFieldException, WrongArgumentException):
        return rule.expression
    if len(rule.days_of_month) < 31 and len(rule.days_of_week) < 7:
        # Unlike cron, Celery asks for both.
        return gettext("%(schedule)s, when both match") % {"schedule": words}
    return words


def _translate_names(words: str) -> str:
    """The descriptor names days and months in the language of the process."""
    for number in range(7):
        words = words.replace(calendar.day_name[number], str(WEEKDAYS[number]))
    for number in range(1, 13):
        words = words.replace(calendar.month_name[number], str(MONTHS[number]))
    return words


def _interval_in_words(rule: Interval) -> str:
    number = rule.number
    match rule.period:
        case "days":
            words = ngettext("Every day", "Every %(number)s days", number)
        case "hours":
            words = ngettext("Every hour", "Every %(number)s hours", number)
        case "minutes":
            words = ngettext("Every minute", "Every %(number)s minutes", number)
        case _:
            words = ngettext("Every second", "Every %(number)s seconds", number)
    return words % {"number": number}
