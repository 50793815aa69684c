"""Gives jobs their schedule and switches them. None of it fires anything by itself."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from collection import due, scheduling
from collection.models import Job
from collection.schedulable import START_DUE

_CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone")


def switch(jobs: QuerySet[Job], *, on: bool, now: datetime) -> int:
    """Returns how many were changed: those that have a schedule and stood the other way.

    What was due while a job was off is not made up for.
    """
    with transaction.atomic():
        changed = list(
            jobs.filter(periodic_task__enabled=not on)
            .select_for_update(of=("self",), no_key=True)
            .order_by("pk")
            .values_list("pk", "periodic_task_id")
        )
        # An `enabled` that is written without `last_run_at` would fire at once in beat.
        PeriodicTask.objects.filter(pk__in=[task for _, task in changed]).update(
            enabled=on, last_run_at=None, date_changed=now
        )
        due.begin_anew(Job.objects.filter(pk__in=[job for job, _ in changed]), now=now)
        PeriodicTasks.update_changed()
    return len(changed)


def set_schedule(
    job: Job, schedule: CrontabSchedule | IntervalSchedule, *, enabled: bool, now: datetime
) -> PeriodicTask:
    """Makes or changes the periodic task of a saved job.

    `schedule` may be an unsaved row: an equal one is used when there is one. Raises
    ValidationError when no job can have it. A schedule that stays the same and on keeps its
    missed due times; every other change begins anew.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",), no_key=True).get(pk=job.pk)
        task = job.periodic_task or PeriodicTask(name=_name_of_task(job.pk))
        task.task, task.queue = START_DUE, "control"
        task.kwargs = f'{{"job": {job.pk}}}'
        task.crontab = task.interval = task.solar = task.clocked = None
        if isinstance(schedule, CrontabSchedule):
            task.crontab = _same_crontab(schedule)
        else:
            task.interval = _same_interval(schedule)
        task.enabled, task.one_off, task.description = enabled, False, job.name
        scheduling.schedule_of(task, anchor=now)
        task.save()
        Job.objects.filter(pk=job.pk).update(periodic_task=task)
        if job.settled_schedule != scheduling.fingerprint(task):
            due.begin_anew(Job.objects.filter(pk=job.pk), now=now)
    return task


def remove_schedule(job: Job) -> None:
    """The job is started by hand alone from here on; before a job is deleted, too."""
    if job.periodic_task is not None:
        job.periodic_task.delete()
        job.periodic_task = None


def forget_deleted(job_id: int) -> None:
    """A job that was deleted leaves its periodic task behind, which has nothing to start."""
    if not Job.objects.filter(pk=job_id).exists():
        for task in PeriodicTask.objects.filter(name=_name_of_task(job_id)):
            task.delete()


def _name_of_task(job_id: int) -> str:
    return f"collection.job.{job_id}"


def _same_crontab(row: CrontabSchedule) -> CrontabSchedule:
    fields = {name: getattr(row, name) for name in _CRONTAB_FIELDS}
    scheduling.read_crontab(row)
    return CrontabSchedule.objects.filter(**fields).first() or CrontabSchedule.objects.create(
        **fields
    )


def _same_interval(row: IntervalSchedule) -> IntervalSchedule:
    fields = {"every": row.every, "period": row.period}
    return IntervalSchedule.objects.filter(**fields).first() or IntervalSchedule.objects.create(
        **fields
    )
