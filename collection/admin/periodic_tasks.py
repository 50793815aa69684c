"""The periodic tasks that beat sends: on an allow-list, with arguments that fit.

A job's own task is changed here as to when; what it does is the job's.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import django_celery_beat.admin  # noqa: F401  registers the model that is registered anew here
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet, TextField
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminSelectWidget

from collection import audit, due, schedulable, scheduling, switching
from collection.admin.deletion import GuardedAdmin
from collection.clock import database_now
from collection.models import Job

admin.site.unregister(PeriodicTask)

_WHAT = ["name", "task", "kwargs", "enabled", "description"]
_WHEN = ["crontab", "interval", "start_time", "expires"]
_MESSAGE = ["expire_seconds", "priority"]
_MADE_ELSEWHERE = (schedulable.START_DUE, schedulable.PUMP)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class PeriodicTaskForm(forms.ModelForm[PeriodicTask]):
    """`task` is a choice where it can be chosen; a job's task and arguments are the job's."""

    class Meta:
        model = PeriodicTask
        fields = [*_WHAT, *_WHEN, *_MESSAGE]
        labels = {
            # Also where it is read only: django-celery-beat's own label is never translated.
            "task": _("Task"),
            "enabled": _("Switched on"),
            "kwargs": _("Arguments"),
            "crontab": _("Crontab"),
            "interval": _("Interval"),
            "start_time": _("Not before"),
            "expires": _("Not after"),
            "expire_seconds": _("Worth nothing after so many seconds"),
        }
        help_texts = {
            "name": "",
            "enabled": "",
            "description": "",
            "kwargs": _("As JSON: names and values, as the task wants them."),
            "crontab": "",
            "interval": "",
            "start_time": "",
            "expires": "",
            "expire_seconds": _("A message that no worker took in this time is thrown away."),
            "priority": _("0 to 255. With Redis, 0 is the highest."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            # What starts a job is made with the job, and one pump is enough.
            names = [name for name in schedulable.TASKS if name not in _MADE_ELSEWHERE]
            if self.instance.pk and self.instance.task not in names:
                names.append(self.instance.task)
            self.fields["task"] = forms.ChoiceField(
                label=_("Task"),
                choices=zip(names, names, strict=True),
                widget=UnfoldAdminSelectWidget(),
            )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.errors:
            self._check()
        return cleaned

    def _check(self) -> None:
        task = forms.models.construct_instance(self, self.instance, self._meta.fields)
        if bool(task.crontab) == bool(task.interval):
            raise ValidationError(gettext("Choose a crontab or an interval: one of the two."))
        if task.expires and task.expire_seconds is not None:
            raise ValidationError(
                gettext("Choose a last moment or a number of seconds: one of the two.")
            )
        if job_of(task) is not None:
            scheduling.schedule_of(task, anchor=database_now())
        elif task.crontab:
            scheduling.read_crontab(task.crontab)
        try:
            schedulable.check(task)
        except ValidationError as error:
            for field, texts in error.message_dict.items():
                self.add_error(field if field in self.fields else None, texts)


def is_vital(task: PeriodicTask | None) -> bool:
    """Nothing would be collected any more without the pump: it is no matter of the console."""
    return task is not None and task.task == schedulable.PUMP


def job_of(task: PeriodicTask) -> Job | None:
    return getattr(task, "job", None)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(GuardedAdmin):
    form = PeriodicTaskForm
    list_display = ["name", "enabled", "task_name", "in_words", "job_link", "last_run_at"]
    list_filter = ["enabled"]
    list_select_related = ["crontab", "interval", "job"]
    search_fields = ["name", "task"]
    actions = ["switch_on", "switch_off", "send_now"]
    formfield_overrides = {TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}
    ordering = ["name"]
    fieldsets = [
        (None, {"fields": ["job_link", *_WHAT]}),
        (
            _("Schedule"),
            {
                "fields": [*_WHEN, "last_run_at"],
                "description": _("A crontab or an interval: one of the two."),
            },
        ),
        (_("Message"), {"fields": _MESSAGE}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        always = ["job_link", "last_run_at"]
        if isinstance(obj, PeriodicTask) and job_of(obj) is not None:
            return ["name", "task", "kwargs", *always]
        return always

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if isinstance(obj, PeriodicTask) and job_of(obj) is not None:
            return self.fieldsets
        return [(None, {"fields": _WHAT}), *self.fieldsets[1:]]

    def has_change_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return not is_vital(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return not is_vital(obj) and super().has_delete_permission(request, obj)

    def standing_in_the_way(self, things: Iterable[Model]) -> Iterable[Model]:
        vital = [thing for thing in things if isinstance(thing, PeriodicTask) and is_vital(thing)]
        yield from vital
        yield from Job.objects.filter(periodic_task__in=list(things))

    def save_model(self, request: HttpRequest, obj: PeriodicTask, form: Any, change: bool) -> None:
        obj.queue = schedulable.CONTROL_QUEUE
        if {"crontab", "interval", "start_time", "enabled"} & set(form.changed_data):
            # Beat and the job count from now: a new schedule makes up for nothing.
            obj.last_run_at = None
            super().save_model(request, obj, form, change)
            due.begin_anew(Job.objects.filter(periodic_task=obj), now=database_now())
        else:
            super().save_model(request, obj, form, change)

    @admin.display(description=_("task"), ordering="task")
    def task_name(self, task: PeriodicTask) -> str:
        return task.task

    @admin.display(description=_("in words"))
    def in_words(self, task: PeriodicTask) -> str:
        try:
            return scheduling.in_words(scheduling.schedule_of(task, anchor=timezone.now()))
        except ValidationError:
            return str(task.scheduler or "")

    @admin.display(description=_("collection job"))
    def job_link(self, task: PeriodicTask) -> str:
        job = job_of(task)
        if job is None:
            return ""
        url = reverse("admin:collection_job_change", args=[job.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, job)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("collection.operate_run")

    @admin.action(description=_("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, chosen: QuerySet[PeriodicTask]) -> None:
        self._switch(request, chosen, on=True)

    @admin.action(description=_("Switch off"), permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: QuerySet[PeriodicTask]) -> None:
        self._switch(request, chosen, on=False)

    @admin.action(description=_("Send once now"), permissions=["change", "operate"])
    def send_now(self, request: HttpRequest, chosen: QuerySet[PeriodicTask]) -> None:
        """Beat sends what looks long overdue, with everything the row says of the message."""
        now = database_now()
        sent = self._change_each(
            request,
            chosen.filter(enabled=True, job__isnull=True),
            lambda task: PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=_LONG_AGO),
            audit.change(gettext_noop("Send once now"), "", now.isoformat(timespec="seconds")),
        )
        PeriodicTasks.update_changed()
        self.message_user(
            request,
            ngettext(
                "The scheduler sends %(count)d task within seconds.",
                "The scheduler sends %(count)d tasks within seconds.",
                sent,
            )
            % {"count": sent},
        )
        if chosen.exclude(enabled=True, job__isnull=True).exists():
            self.message_user(
                request,
                gettext("Tasks that are off are not sent; a job is run from its own page."),
                messages.WARNING,
            )

    def _switch(self, request: HttpRequest, chosen: QuerySet[PeriodicTask], *, on: bool) -> None:
        now = database_now()

        def change(task: PeriodicTask) -> None:
            job = job_of(task)
            if job is not None:
                switching.switch(Job.objects.filter(pk=job.pk), on=on, now=now)
                return
            task.enabled, task.last_run_at = on, None
            task.save()

        switched = self._change_each(
            request,
            chosen.filter(enabled=not on).exclude(task=schedulable.PUMP),
            change,
            audit.change(gettext_noop("Enabled"), not on, on),
        )
        text = (
            ngettext(
                "%(count)d task was switched on. What it missed while it was off is skipped.",
                "%(count)d tasks were switched on. What they missed while they were off is skipped.",
                switched,
            )
            if on
            else ngettext(
                "%(count)d task was switched off.", "%(count)d tasks were switched off.", switched
            )
        )
        self.message_user(request, text % {"count": switched})
        if chosen.filter(task=schedulable.PUMP).exists():
            self.message_user(
                request,
                gettext("The pump is left as it is: without it nothing is collected."),
                messages.WARNING,
            )

    def _change_each(
        self,
        request: HttpRequest,
        tasks: QuerySet[PeriodicTask],
        change: Callable[[PeriodicTask], object],
        logged: audit.Change,
    ) -> int:
        """Together with its entry in the log, each; returns how many."""
        with transaction.atomic():
            chosen = list(tasks.select_related("crontab", "interval", "job"))
            for task in chosen:
                change(task)
                audit.record(request.user, task, logged)
        return len(chosen)
