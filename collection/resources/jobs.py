"""Jobs with their schedules: exported, looked through by others, imported again."""

import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule
from import_export.fields import Field
from import_export.widgets import Widget

from collection import scheduling, switching
from collection.clock import database_now
from collection.models import Dataset, Job, Level, MissedPolicy, OverlapPolicy
from collection.planning import KOREA
from collection.resources.rows import Rows, text_of
from collection.resources.widgets import Offices, OneOf, SomeOf, Switch

_EVERY = re.compile(r"every (\d+) (days|hours|minutes|seconds)")
_CRONTAB = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


@dataclass(slots=True)
class Timing:
    """A schedule as it is written in a file: a crontab of five parts, "every 2 hours", or ""."""

    schedule: str = ""
    time_zone: str = ""
    enabled: bool = False

    def row(self) -> CrontabSchedule | IntervalSchedule | None:
        """Unsaved. Raises ValueError."""
        if not self.schedule:
            return None
        if found := _EVERY.fullmatch(self.schedule):
            return IntervalSchedule(every=int(found[1]), period=found[2])
        parts = self.schedule.split()
        if len(parts) != len(_CRONTAB):
            raise ValueError(
                gettext("Write a crontab such as “0 4 * * 1”, “every 2 hours”, or nothing.")
            )
        try:
            zone = ZoneInfo(self.time_zone or KOREA.key)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                gettext("There is no time zone %(name)s.") % {"name": self.time_zone}
            ) from None
        row = CrontabSchedule(**dict(zip(_CRONTAB, parts, strict=True)), timezone=zone)
        try:
            scheduling.read_crontab(row)
        except ValidationError as error:
            raise ValueError(" ".join(error.messages)) from None
        return row


def timing_of(job: Job) -> Timing:
    task = job.periodic_task
    if task is None:
        return Timing()
    if task.crontab:
        parts = " ".join(str(getattr(task.crontab, name)) for name in _CRONTAB)
        return Timing(parts, str(task.crontab.timezone), task.enabled)
    if task.interval:
        return Timing(f"every {task.interval.every} {task.interval.period}", "", task.enabled)
    return Timing()


class _ScheduleWidget(Widget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str:
        Timing(str(value or ""), str((row or {}).get("time_zone") or "")).row()
        return str(value or "")


class JobResource(Rows):
    """A job is known by its name. Jobs that the file does not name stay as they are."""

    dataset = Field("dataset", "dataset", OneOf(Dataset.values))
    levels = Field("levels", "levels", SomeOf(Level.values))
    offices = Field("offices", "offices", Offices())
    overlap = Field("overlap", "overlap", OneOf(OverlapPolicy.values))
    missed = Field("missed", "missed", OneOf(MissedPolicy.values))
    alert = Field("alert", "alert", Switch())
    schedule = Field("timing__schedule", "schedule", _ScheduleWidget())
    time_zone = Field("timing__time_zone", "time_zone", default="")
    enabled = Field("timing__enabled", "enabled", Switch())

    class Meta:
        model = Job
        import_id_fields = ("name",)
        fields = ("name", "dataset", "levels", "offices", "window_offset", "window_weeks",
                  "priority", "most_at_once", "overlap", "missed", "missed_within_hours", "alert",
                  "alert_above_percent", "alert_after_minutes", "schedule", "time_zone",
                  "enabled")  # fmt: skip
        export_order = fields
        import_order = fields
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True

    def filter_export(self, queryset: QuerySet[Job], **kwargs: Any) -> QuerySet[Job]:
        return queryset.select_related(
            "periodic_task__crontab", "periodic_task__interval"
        ).prefetch_related("offices")

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> str:
        if field.attribute == "offices":
            offices = instance.offices.all() if instance.pk else ()
            return " ".join(sorted(office.code for office in offices))
        if field.attribute.startswith("timing__") and not hasattr(instance, "timing"):
            instance.timing = timing_of(instance)
        return text_of(field.get_value(instance))

    def before_import_row(self, row: Any, **kwargs: Any) -> None:
        """The package reads the offices too late to name them as what is wrong with a line."""
        try:
            self.fields["offices"].clean(row)
        except ValueError as error:
            raise ValidationError({"offices": [str(error)]}) from None

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        instance.timing = timing_of(instance)

    def after_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
        timing: Timing = instance.timing
        if timing == timing_of(Job.objects.select_related("periodic_task").get(pk=instance.pk)):
            return
        schedule = timing.row()
        if schedule is None:
            switching.remove_schedule(instance)
        else:
            switching.set_schedule(instance, schedule, enabled=timing.enabled, now=database_now())
