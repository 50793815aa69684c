"""Asks for scheduled exports at their due times: one export at most for each.

Safe to call anywhere, any number of times at once: who moves `settled_until` on has the due time.
A due time that nobody was there to keep is made up for once, with the weeks that it meant.
"""

import logging
from datetime import datetime, time

from django.core.exceptions import ValidationError
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from collection import exports, scheduling
from collection.models import Export, ExportSchedule
from collection.planning import KOREA, first_monday_at
from collection.schedulable import CONTROL_QUEUE, START_DUE_EXPORT

logger = logging.getLogger(__name__)


def settle(*, now: datetime) -> list[Export]:
    """One query when there is nothing to do. Returns the exports that were asked for."""
    known = ExportSchedule.objects.filter(periodic_task__isnull=False).select_related(
        "periodic_task__crontab", "periodic_task__interval"
    )
    asked = []
    for schedule in known:
        try:
            export = _settle_one(schedule, now)
        except ValidationError as error:
            logger.warning("Scheduled export %s: %s", schedule, " ".join(error.messages))
            continue
        if export is not None:
            asked.append(export)
    return asked


def next_time(schedule: ExportSchedule, *, now: datetime) -> datetime | None:
    """None when it is off or can't be read."""
    task = schedule.periodic_task
    if task is None or not task.enabled:
        return None
    try:
        times = scheduling.schedule_of(task, anchor=now).next_times(now, 1)
    except ValidationError:
        return None
    return times[0] if times else None


def set_weekly(schedule: ExportSchedule, *, weekday: str, at: time, enabled: bool) -> None:
    """`weekday` as a crontab has it: 0 is Sunday, "*" every day. In Korean time.

    Saves the schedule's row too; what was due before starts nothing.
    """
    fields = {
        "minute": str(at.minute), "hour": str(at.hour), "day_of_week": weekday,
        "day_of_month": "*", "month_of_year": "*", "timezone": KOREA,
    }  # fmt: skip
    with transaction.atomic():
        schedule.save()
        task = schedule.periodic_task or PeriodicTask(name=f"collection.export.{schedule.pk}")
        task.task, task.queue = START_DUE_EXPORT, CONTROL_QUEUE
        task.kwargs = f'{{"schedule": {schedule.pk}}}'
        task.crontab = CrontabSchedule.objects.filter(
            **fields
        ).first() or CrontabSchedule.objects.create(**fields)
        task.interval = None
        task.enabled, task.description = enabled, schedule.name
        task.save()
        schedule.periodic_task = task
        schedule.save(update_fields=["periodic_task"])


def remove(schedule: ExportSchedule) -> None:
    """Its exports stay."""
    with transaction.atomic():
        if schedule.periodic_task is not None:
            schedule.periodic_task.delete()
        schedule.delete()


def _settle_one(schedule: ExportSchedule, now: datetime) -> Export | None:
    task = schedule.periodic_task
    mine = ExportSchedule.objects.filter(pk=schedule.pk, settled_until=schedule.settled_until)
    fingerprint = scheduling.fingerprint(task)
    if schedule.settled_schedule != fingerprint:
        mine.update(settled_until=now, settled_schedule=fingerprint)
        return None
    if not fingerprint or schedule.settled_until is None:
        return None
    rule = scheduling.schedule_of(task, anchor=schedule.settled_until)
    due_at = rule.latest(at_or_before=now, after=schedule.settled_until)
    if due_at is None:
        return None
    with transaction.atomic():
        if not mine.update(settled_until=due_at):
            return None
        export = Export(
            schedule=schedule,
            due_at=due_at,
            first_monday=first_monday_at(due_at, offset=schedule.window_offset),
            **exports.choices_of(schedule),
        )
        return exports.ask(export, asked_by=None, now=now)
