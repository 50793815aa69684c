"""Runs a job by hand, for a window of one's own, and pauses or resumes its open run."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from django_htmx.http import HttpResponseClientRefresh
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from collection import audit, runs, starting
from collection.admin.job_preview import estimate_of
from collection.clock import database_now
from collection.models import OPEN_RUN_STATES, Dataset, Job, PauseReason, Run, RunState
from collection.planning import monday_of
from collection.quota import Estimate
from collection.starting import Plan

if TYPE_CHECKING:
    from collection.admin.jobs import JobAdmin


class RunForm(forms.Form):
    """The window of one run; a school list has none."""

    first_day = forms.DateField(
        label=_("First week"),
        widget=UnfoldAdminTextInputWidget({"type": "date"}),
        help_text=_("Any day of it: a week begins on Monday."),
    )
    weeks = forms.IntegerField(
        label=_("Number of weeks"),
        min_value=1,
        max_value=53,
        widget=UnfoldAdminIntegerFieldWidget(),
    )

    @property
    def first_monday(self) -> date:
        return monday_of(self.cleaned_data["first_day"])


def confirm_or_run(request: HttpRequest, jobs: "JobAdmin", job_id: int) -> HttpResponseBase:
    """GET asks, and tells what would be done; POST does it."""
    job = get_object_or_404(Job, pk=job_id)
    plan = starting.plan_of(job, database_now())
    form = _form(request, job, plan)
    if request.method == "POST" and form.is_valid():
        return _run(request, job, form)
    template = "_run_estimate.html" if request.GET.get("part") == "estimate" else "run.html"
    return TemplateResponse(
        request,
        f"admin/collection/job/{template}",
        {
            **jobs.admin_site.each_context(request),
            "title": gettext("Run now: %(job)s") % {"job": job},
            "job": job,
            "form": form,
            "has_window": job.dataset == Dataset.TIMETABLE,
            "estimate": _estimate(form, plan),
            "open_run": Run.objects.filter(job=job, state__in=OPEN_RUN_STATES).first(),
        },
    )


def _form(request: HttpRequest, job: Job, plan: Plan) -> RunForm:
    initial = {"first_day": plan.first_monday, "weeks": plan.weeks}
    given: Any = request.POST if request.method == "POST" else request.GET
    if job.dataset == Dataset.SCHOOL_LIST:
        return RunForm(initial)
    return RunForm(given if "weeks" in given else None, initial=initial)


def _estimate(form: RunForm, plan: Plan) -> Estimate | None:
    if form.is_bound:
        if not form.is_valid():
            return None
        plan = replace(plan, first_monday=form.first_monday, weeks=form.cleaned_data["weeks"])
    return estimate_of(plan)


def _run(request: HttpRequest, job: Job, form: RunForm) -> HttpResponseBase:
    weeks: int = form.cleaned_data["weeks"]
    by = request.user if isinstance(request.user, AbstractBaseUser) else None
    try:
        with transaction.atomic():
            run = starting.run_now(
                job, now=database_now(), started_by=by,
                first_monday=form.first_monday, weeks=weeks,
            )  # fmt: skip
            window = f"{form.first_monday:%Y-%m-%d} × {weeks}"
            audit.record(
                request.user, job, audit.change(gettext_noop("Run now"), "", f"{run}: {window}")
            )
    except starting.NotStarted as refusal:
        messages.error(request, _refused(refusal))
        return redirect("admin:collection_job_changelist")
    text = gettext("%(run)s was started.")
    messages.success(request, format_html("{} {}", text % {"run": run}, _link(run)))
    return redirect("dashboard:run-detail", run.pk)


def _refused(refusal: starting.NotStarted) -> str:
    if isinstance(refusal, starting.AlreadyOpen):
        return format_html("{} {}", str(refusal), _link(refusal.run))
    return str(refusal)


def _link(run: Run) -> str:
    url = reverse("dashboard:run-detail", args=[run.pk])
    return format_html('<a class="underline" href="{}">{}</a>', url, gettext("Look at the run"))


def pause_or_resume(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """POST by htmx with `run` and `on`: whether it is to go on. The list is then read anew."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    run = get_object_or_404(Run, pk=request.POST.get("run", ""), job=job_id)
    on = request.POST.get("on") == "1"
    before = run.get_state_display()
    with transaction.atomic():
        done = runs.resume(run.pk) if on else runs.pause(run.pk, reason=PauseReason.OPERATOR)
        if done:
            after = RunState.RUNNING if on else RunState.PAUSED
            audit.record(
                request.user, run, audit.change(gettext_noop("state"), before, after.label)
            )
    if not done:
        text = gettext("%(run)s has changed meanwhile: nothing was done.")
    elif on:
        text = gettext("%(run)s goes on.")
    else:
        text = gettext("%(run)s is paused: nothing new is begun, what is under way may end.")
    messages.add_message(
        request,
        messages.SUCCESS if done else messages.WARNING,
        format_html("{} {}", text % {"run": run}, _link(run)),
    )
    return HttpResponseClientRefresh()
