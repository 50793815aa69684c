"""Exports that are asked for again and again."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from collection import export_schedules, scheduling
from collection.models import ExportSchedule
from dashboard.exports.forms import ScheduleForm
from dashboard.pages import render_page, requires

PERMISSION = "collection.export_data"


@dataclass(frozen=True, slots=True)
class Entry:
    schedule: ExportSchedule
    words: str
    next_at: datetime | None


def scheduled(*, now: datetime) -> list[Entry]:
    known = ExportSchedule.objects.select_related("periodic_task__crontab")
    return [
        Entry(schedule, _in_words(schedule, now), export_schedules.next_time(schedule, now=now))
        for schedule in known
    ]


def _in_words(schedule: ExportSchedule, now: datetime) -> str:
    task = schedule.periodic_task
    try:
        return scheduling.in_words(scheduling.schedule_of(task, anchor=now)) if task else ""
    except ValidationError as error:
        return " ".join(error.messages)


@requires(PERMISSION)
def add_schedule(request: HttpRequest) -> TemplateResponse | HttpResponseRedirect:
    return _edit(request, ExportSchedule(), title=_("New scheduled export"), flag=ADDITION)


@requires(PERMISSION)
def edit_schedule(request: HttpRequest, pk: int) -> TemplateResponse | HttpResponseRedirect:
    schedule = get_object_or_404(ExportSchedule, pk=pk)
    return _edit(request, schedule, title=schedule.name, flag=CHANGE)


def _edit(
    request: HttpRequest, schedule: ExportSchedule, *, title: str, flag: int
) -> TemplateResponse | HttpResponseRedirect:
    form = ScheduleForm(request.POST or None, instance=schedule)
    if form.is_valid():
        schedule = form.save(commit=False)
        export_schedules.set_weekly(
            schedule,
            weekday=form.cleaned_data["weekday"],
            at=form.cleaned_data["at"],
            enabled=form.cleaned_data["enabled"],
        )
        _log(request, schedule, flag, _("Scheduled"))
        messages.success(request, _("The scheduled export was saved."))
        return redirect("dashboard:export-list")
    return render_page(
        request,
        "dashboard/exports_form.html",
        title=title,
        context={"form": form, "schedule": schedule if schedule.pk else None},
    )


@require_POST
@requires(PERMISSION)
def delete_schedule(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    schedule = get_object_or_404(ExportSchedule, pk=pk)
    _log(request, schedule, DELETION, "")
    export_schedules.remove(schedule)
    messages.success(request, _("The scheduled export was deleted; its files stay."))
    return redirect("dashboard:export-list")


def _log(request: HttpRequest, schedule: ExportSchedule, flag: int, what: str) -> None:
    LogEntry.objects.log_actions(
        cast("int", request.user.pk), [schedule], flag, change_message=what
    )
