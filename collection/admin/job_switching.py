"""Switches jobs on and off from their list, and says what that means."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _

from collection import audit, due, switching
from collection.clock import database_now
from collection.models import Job

WITHOUT_SCHEDULE = _("A job without a schedule can't be switched on: it is run by hand.")


def switch(
    jobs: QuerySet[Job], *, on: bool, by: AbstractBaseUser | AnonymousUser, now: datetime
) -> list[Job]:
    """Returns those that stood the other way; each is in the log."""
    with transaction.atomic():
        others = list(jobs.filter(periodic_task__enabled=not on).order_by("name"))
        switching.switch(Job.objects.filter(pk__in=[job.pk for job in others]), on=on, now=now)
        for job in others:
            audit.record(by, job, audit.change(gettext_noop("switched on"), not on, on))
    return list(_with_schedule().filter(pk__in=[job.pk for job in others]))


def in_words(switched: Sequence[Job], *, on: bool, now: datetime) -> str:
    count = len(switched)
    if not on:
        text = ngettext(
            "%(count)d job was switched off. A run that is open goes on.",
            "%(count)d jobs were switched off. Runs that are open go on.",
            count,
        )
        return text % {"count": count}
    text = ngettext(
        "%(count)d job was switched on. What was due while it was off is skipped.",
        "%(count)d jobs were switched on. What was due while they were off is skipped.",
        count,
    )
    times = [moment for job in switched for moment in due.next_times(job, now=now)]
    if not times:
        return text % {"count": count}
    at = date_format(timezone.localtime(min(times)), "SHORT_DATETIME_FORMAT")
    return f"{text % {'count': count}} {gettext('Next due: %(time)s.') % {'time': at}}"


def switch_in_place(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """POST with `on`; the cells of the row that are others now, and a message."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    on = request.POST.get("on") == "1"
    now = database_now()
    switched = switch(Job.objects.filter(pk=job_id), on=on, by=request.user, now=now)
    job = get_object_or_404(_with_schedule(), pk=job_id)
    return TemplateResponse(
        request,
        "admin/collection/job/_switched.html",
        {
            "job": job,
            "may_change": True,
            "next_at": next(iter(due.next_times(job, now=now)), None),
            "message": in_words(switched, on=on, now=now) if switched else WITHOUT_SCHEDULE,
        },
    )


def _with_schedule() -> QuerySet[Job]:
    return Job.objects.select_related("periodic_task__crontab", "periodic_task__interval")
