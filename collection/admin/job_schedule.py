"""A job's schedule as fields of a form: weekdays and time of day, an interval, or a crontab.

Pure: a periodic task in, values of the fields out, and back to a row of its schedule.
"""

from collections.abc import Mapping
from datetime import time
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from collection import scheduling
from collection.planning import KOREA

TIME_ZONES = frozenset(available_timezones())


class Kind(models.TextChoices):
    WEEKLY = "weekly", _("On weekdays, at a time of day")
    INTERVAL = "interval", _("Again and again, after a while")
    CRONTAB = "crontab", _("As a crontab says")
    NONE = "none", _("Never: by hand alone")


class Period(models.TextChoices):
    DAYS = IntervalSchedule.DAYS, _("days")
    HOURS = IntervalSchedule.HOURS, _("hours")
    MINUTES = IntervalSchedule.MINUTES, _("minutes")


Row: TypeAlias = CrontabSchedule | IntervalSchedule
# The fields that each kind asks for.
ASKED = {
    Kind.WEEKLY: {"weekdays", "time_of_day", "time_zone"},
    Kind.INTERVAL: {"every", "period"},
    Kind.CRONTAB: {"crontab", "time_zone"},
    Kind.NONE: set[str](),
}
FIELDS = ("kind", "weekdays", "time_of_day", "every", "period", "crontab", "time_zone")


def fields_of(task: PeriodicTask | None) -> dict[str, Any]:
    """What the fields show for a periodic task; weekdays as crontabs have them, Sunday is 0."""
    empty = {"kind": Kind.NONE, "time_zone": KOREA.key}
    if task is None:
        return empty
    if task.interval:
        return empty | {
            "kind": Kind.INTERVAL,
            "every": task.interval.every,
            "period": task.interval.period,
        }
    if task.crontab:
        zone = {"time_zone": str(task.crontab.timezone)}
        return (_weekly(task.crontab) or _raw(task.crontab)) | zone
    return empty


def row_of(values: Mapping[str, Any]) -> Row | None:
    """The unsaved row that the fields stand for; None: the job has no schedule.

    Raises ValidationError by field.
    """
    match values["kind"]:
        case Kind.WEEKLY:
            return _crontab(_weekly_parts(values), values)
        case Kind.CRONTAB:
            return _crontab(_raw_parts(values), values)
        case Kind.INTERVAL:
            if not values.get("every"):
                raise ValidationError({"every": gettext("How often?")})
            return IntervalSchedule(every=values["every"], period=values["period"])
        case _:
            return None


def _weekly(row: CrontabSchedule) -> dict[str, Any] | None:
    try:
        rule = scheduling.read_crontab(row)
    except ValidationError:
        return None
    if (str(row.day_of_month), str(row.month_of_year)) != ("*", "*"):
        return None
    if len(rule.hours) != 1 or len(rule.minutes) != 1:
        return None
    (hour,), (minute,) = rule.hours, rule.minutes
    return {
        "kind": Kind.WEEKLY,
        "weekdays": [str(day) for day in sorted(rule.days_of_week)],
        "time_of_day": time(hour, minute),
    }


def _raw(row: CrontabSchedule) -> dict[str, Any]:
    parts = (row.minute, row.hour, row.day_of_month, row.month_of_year, row.day_of_week)
    return {"kind": Kind.CRONTAB, "crontab": " ".join(str(part).replace(" ", "") for part in parts)}


def _weekly_parts(values: Mapping[str, Any]) -> list[str]:
    errors = {}
    if not values.get("weekdays"):
        errors["weekdays"] = gettext("Choose at least one weekday.")
    at: time | None = values.get("time_of_day")
    if at is None:
        errors["time_of_day"] = gettext("At what time?")
    if errors or at is None:
        raise ValidationError(errors)
    days = sorted(values["weekdays"])
    weekdays = "*" if len(days) == 7 else ",".join(days)
    return [str(at.minute), str(at.hour), "*", "*", weekdays]


def _raw_parts(values: Mapping[str, Any]) -> list[str]:
    parts: list[str] = (values.get("crontab") or "").split()
    if len(parts) != 5:
        raise ValidationError(
            {"crontab": gettext("A crontab has five parts: minute, hour, day, month, weekday.")}
        )
    return parts


def _crontab(parts: list[str], values: Mapping[str, Any]) -> CrontabSchedule:
    if values.get("time_zone") not in TIME_ZONES:
        raise ValidationError({"time_zone": gettext("There is no such time zone.")})
    minute, hour, day_of_month, month_of_year, day_of_week = parts
    row = CrontabSchedule(
        minute=minute,
        hour=hour,
        day_of_month=day_of_month,
        month_of_year=month_of_year,
        day_of_week=day_of_week,
        timezone=ZoneInfo(values["time_zone"]),
    )
    field = "crontab" if values["kind"] == Kind.CRONTAB else "weekdays"
    try:
        row.clean_fields(exclude=["timezone"])
        scheduling.read_crontab(row)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error
    return row
