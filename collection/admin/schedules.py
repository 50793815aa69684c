"""The crontabs and intervals that periodic tasks share."""

from collections.abc import Iterable
from typing import Any

import django_celery_beat.admin  # noqa: F401  registers the models that are registered anew here
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from collection import scheduling
from collection.admin.deletion import GuardedAdmin

for model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule):
    admin.site.unregister(model)


class CrontabForm(forms.ModelForm[CrontabSchedule]):
    def clean(self) -> dict[str, Any] | None:
        """Each part by itself may be right and the date still never come."""
        cleaned = super().clean()
        if cleaned and not self.errors:
            scheduling.read_crontab(CrontabSchedule(**cleaned))
        return cleaned


class IntervalForm(forms.ModelForm[IntervalSchedule]):
    def clean_period(self) -> str:
        period: str = self.cleaned_data["period"]
        if period == IntervalSchedule.MICROSECONDS:
            raise ValidationError(gettext("Once a second is as often as it gets."))
        return period


class SharedScheduleAdmin(GuardedAdmin):
    """Used by periodic tasks: deleting one would delete them, so it is refused."""

    users: str

    def standing_in_the_way(self, things: Iterable[Model]) -> Iterable[Model]:
        return PeriodicTask.objects.filter(**{f"{self.users}__in": list(things)})

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            # Saved, so that beat counts from now and fires nothing for the time before.
            for task in PeriodicTask.objects.filter(**{self.users: obj}):
                task.last_run_at = None
                task.save()


@admin.register(CrontabSchedule)
class CrontabAdmin(SharedScheduleAdmin):
    users = "crontab"
    form = CrontabForm
    fields = ["minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"]
    list_display = ["in_words", "timezone", "__str__"]
    search_fields = ["minute", "hour", "day_of_week", "day_of_month"]

    @admin.display(description=_("in words"))
    def in_words(self, crontab: CrontabSchedule) -> str:
        try:
            return scheduling.in_words(scheduling.Schedule(scheduling.read_crontab(crontab)))
        except ValidationError as error:
            return " ".join(error.messages)


@admin.register(IntervalSchedule)
class IntervalAdmin(SharedScheduleAdmin):
    users = "interval"
    form = IntervalForm
    fields = ["every", "period"]
    list_display = ["__str__", "every", "period"]
    search_fields = ["=every", "period"]
