"""Jobs and their forms, as an operator fills them in."""

from typing import Any

from django.utils import timezone
from django_celery_beat.models import CrontabSchedule

from collection import switching
from collection.models import Job

# What an empty form of a new job posts, with a schedule: Mondays at 04:00.
FORM: dict[str, Any] = {
    "name": "고등학교",
    "job_dataset": "timetable",
    "levels": ["high"],
    "offices": [],
    "window_offset": "-1",
    "window_weeks": "3",
    "kind": "weekly",
    "weekdays": ["1"],
    "time_of_day": "04:00",
    "time_zone": "Asia/Seoul",
    "every": "",
    "period": "days",
    "crontab": "",
    "overlap": "skip",
    "missed": "run_once",
    "missed_within_hours": "24",
    "priority": "5",
    "most_at_once": "",
    "alert": "on",
    "alert_above_percent": "2",
    "alert_after_minutes": "",
}


def make_job(
    name: str = "고등학교", *, enabled: bool = False, hour: int = 4, **columns: Any
) -> Job:
    job = Job.objects.create(name=name, levels=["high"], **columns)
    crontab = CrontabSchedule(minute="0", hour=str(hour), day_of_week="1", timezone="Asia/Seoul")
    switching.set_schedule(job, crontab, enabled=enabled, now=timezone.now())
    job.refresh_from_db()
    return job
