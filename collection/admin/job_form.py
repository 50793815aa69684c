"""The form of a job, its schedule among it."""

from typing import Any

from django import forms
from django.contrib.admin.options import HORIZONTAL
from django.core.exceptions import ValidationError
from django.utils.dates import WEEKDAYS
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from collection import scheduling
from collection.admin import job_schedule
from collection.admin.job_schedule import Kind, Period
from collection.clock import database_now
from collection.models import Job, Level, Office
from collection.planning import KOREA

# Monday first, as a console's week begins; the keys are those of crontabs.
_DAYS = [(str((number + 1) % 7), name) for number, name in WEEKDAYS.items()]


class Checkboxes(UnfoldAdminCheckboxSelectMultipleWidget):
    """Side by side; the class hangs on the box of each choice."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        return context | {"radio_style": HORIZONTAL}


class JobForm(forms.ModelForm[Job]):
    levels = forms.MultipleChoiceField(
        label=_("School levels"),
        choices=Level.choices,
        required=False,
        widget=Checkboxes(),
        help_text=_("None: all levels."),
    )
    offices = forms.ModelMultipleChoiceField(
        label=_("Education offices"),
        queryset=Office.objects.all(),
        required=False,
        widget=Checkboxes(),
        help_text=_("None: all offices."),
    )
    kind = forms.ChoiceField(
        label=_("When"),
        choices=Kind.choices,
        initial=Kind.WEEKLY,
        widget=UnfoldAdminRadioSelectWidget(),
    )
    weekdays = forms.MultipleChoiceField(
        label=_("Weekdays"), choices=_DAYS, required=False, widget=Checkboxes()
    )
    time_of_day = forms.TimeField(
        label=_("Time of day"),
        required=False,
        widget=UnfoldAdminTextInputWidget({"type": "time"}),
    )
    every = forms.IntegerField(
        label=_("Every"),
        required=False,
        min_value=1,
        max_value=10_000,
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    period = forms.ChoiceField(
        label=_("Unit"),
        choices=Period.choices,
        required=False,
        initial=Period.DAYS,
        widget=UnfoldAdminSelectWidget(),
    )
    crontab = forms.CharField(
        label=_("Crontab"),
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget({"placeholder": "0 4 * * 1"}),
        help_text=_("Minute, hour, day, month, weekday. All five must match."),
    )
    time_zone = forms.CharField(
        label=_("Time zone"),
        required=False,
        widget=UnfoldAdminTextInputWidget({"list": "time-zones", "autocomplete": "off"}),
        help_text=_("Type a part of the name to search, such as “Seoul”."),
    )
    enabled = forms.BooleanField(
        label=_("Switched on"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_("Off: the job keeps its schedule and starts nothing by itself."),
    )

    class Meta:
        model = Job
        fields = [
            "name",
            "dataset",
            "levels",
            "offices",
            "window_offset",
            "window_weeks",
            "overlap",
            "missed",
            "missed_within_hours",
            "priority",
            "most_at_once",
            "alert",
            "alert_above_percent",
            "alert_after_minutes",
        ]

    # The row of the schedule as the fields have it, once they are clean.
    schedule: job_schedule.Row | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        task = _task_of(kwargs.get("instance"))
        if task is not None:
            initial = job_schedule.fields_of(task) | {"enabled": task.enabled}
        elif kwargs.get("instance") is not None:
            initial = job_schedule.fields_of(None)
        else:
            initial = {"kind": Kind.WEEKLY, "time_zone": KOREA.key}
        kwargs["initial"] = initial | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)

    @cached_property
    def changed_data(self) -> list[str]:
        """What was filled in for another kind of schedule changes nothing."""
        kind = self.cleaned_data.get("kind", Kind.NONE) if self.is_bound else Kind.NONE
        passed_over = set(job_schedule.FIELDS) - {"kind"} - job_schedule.ASKED[Kind(kind)]
        return [name for name in super().changed_data if name not in passed_over]

    def add_prefix(self, field_name: str) -> str:
        """Unfold takes every POST with a "dataset" for something else and throws it away."""
        return "job_dataset" if field_name == "dataset" else super().add_prefix(field_name)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        values = self.cleaned_data
        if "kind" not in values or self.errors.keys() & set(job_schedule.FIELDS):
            return cleaned
        try:
            self.schedule = job_schedule.row_of(values)
            if self.schedule is not None:
                scheduling.schedule_of(self.task(), anchor=database_now())
        except ValidationError as error:
            self.add_error(None, error)
        if self.schedule is None and not self.errors and values.get("enabled"):
            self.add_error("enabled", gettext("Without a schedule there is nothing to switch on."))
        return cleaned

    def task(self) -> PeriodicTask:
        """What beat would know of the schedule, for who wants to read it before it is saved."""
        before = _task_of(self.instance)
        row = self.schedule
        is_interval = row is not None and hasattr(row, "every")
        return PeriodicTask(
            crontab=None if is_interval else row,
            interval=row if is_interval else None,
            start_time=before and before.start_time,
            expires=before and before.expires,
        )


def _task_of(job: Job | None) -> PeriodicTask | None:
    return job.periodic_task if job is not None else None
