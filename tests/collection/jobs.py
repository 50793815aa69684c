"""Jobs with schedules, made as the console makes them."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django_celery_beat.models import CrontabSchedule, IntervalSchedule

from collection import switching
from collection.models import Job
from collection.planning import KOREA


def make_job(
    schedule: CrontabSchedule | IntervalSchedule | None = None,
    *,
    now: datetime,
    enabled: bool = True,
    **columns: Any,
) -> Job:
    """Every day at 04:00 in Korea, unless told otherwise."""
    job = Job.objects.create(name=f"작업 {Job.objects.count()}", **columns)
    switching.set_schedule(job, schedule or daily(4), enabled=enabled, now=now)
    job.refresh_from_db()
    return job


def daily(hour: int, minute: int = 0, *, zone: ZoneInfo = KOREA, weekday: str = "*") -> Any:
    return CrontabSchedule(minute=str(minute), hour=str(hour), day_of_week=weekday, timezone=zone)


def every(number: int, period: str) -> IntervalSchedule:
    return IntervalSchedule(every=number, period=period)
