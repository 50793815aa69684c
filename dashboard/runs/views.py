"""Runs, one run with its fetches, and one fetch."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from collection.clock import database_now
from collection.models import Run, SchoolFetch
from dashboard.batches import allowed, perform
from dashboard.pages import render_fragment, render_page, requires
from dashboard.paging import without_position
from dashboard.runs.actions import FETCH_ACTIONS, RUN_ACTIONS
from dashboard.runs.filters import FetchFilters, RunFilters
from dashboard.runs.pace import read_pace
from dashboard.runs.reads import read_details, read_fetch, read_fetches, read_run, read_runs


@requires("collection.view_run")
def list_runs(request: HttpRequest) -> TemplateResponse:
    return render_page(
        request, "dashboard/runs_list.html", title=_("Runs"), context=_run_rows(request)
    )


@requires("collection.view_run")
def list_run_rows(request: HttpRequest) -> TemplateResponse:
    return render_fragment(request, "dashboard/_runs_rows.html", _run_rows(request))


def _run_rows(request: HttpRequest) -> dict[str, Any]:
    filters = RunFilters(request.GET)
    rows = filters.apply(Run.objects.all())
    return {
        "filters": filters,
        "runs": read_runs(rows, request.GET, now=database_now()),
        "count": rows.count(),
        "query": without_position(request.GET),
        "actions": allowed(RUN_ACTIONS, request),
    }


@require_POST
@requires("collection.view_run")
def act_on_runs(request: HttpRequest) -> HttpResponse:
    return perform(
        request,
        actions=RUN_ACTIONS,
        rows=Run.objects.select_related("job"),
        filters=RunFilters,
        home=reverse("dashboard:run-list"),
    )


@requires("collection.view_run", "collection.view_schoolfetch")
def show_run(request: HttpRequest, run_id: int) -> TemplateResponse:
    context = {
        **_progress(request, run_id),
        **_fetch_rows(request, run_id),
        "run_actions": allowed(RUN_ACTIONS, request),
    }
    title = _("Run %(run)s") % {"run": context["run"]}
    return render_page(request, "dashboard/runs_detail.html", title=title, context=context)


@requires("collection.view_run", "collection.view_schoolfetch")
def show_progress(request: HttpRequest, run_id: int) -> TemplateResponse:
    return render_fragment(request, "dashboard/_runs_progress.html", _progress(request, run_id))


def _progress(request: HttpRequest, run_id: int) -> dict[str, Any]:
    run = read_run(run_id)
    if run is None:
        raise Http404
    now = database_now()
    details = read_details(run, now=now)
    return {
        "run": run,
        "details": details,
        "pace": read_pace(run, details.breakdown, now=now),
        "run_actions": allowed(RUN_ACTIONS, request),
    }


@requires("collection.view_run", "collection.view_schoolfetch")
def list_fetch_rows(request: HttpRequest, run_id: int) -> TemplateResponse:
    context = {"run": get_object_or_404(Run, pk=run_id), **_fetch_rows(request, run_id)}
    return render_fragment(request, "dashboard/_fetches_rows.html", context)


def _fetch_rows(request: HttpRequest, run_id: int) -> dict[str, Any]:
    filters = FetchFilters(request.GET)
    rows = filters.apply(SchoolFetch.objects.filter(run=run_id))
    return {
        "filters": filters,
        "fetches": read_fetches(rows, request.GET),
        "count": rows.count(),
        "query": without_position(request.GET),
        "actions": allowed(FETCH_ACTIONS, request),
    }


@require_POST
@requires("collection.view_run", "collection.view_schoolfetch")
def act_on_fetches(request: HttpRequest, run_id: int) -> HttpResponse:
    return perform(
        request,
        actions=FETCH_ACTIONS,
        rows=SchoolFetch.objects.filter(run=run_id).select_related("school"),
        filters=FetchFilters,
        home=reverse("dashboard:run-detail", args=[run_id]),
    )


@requires("collection.view_run", "collection.view_schoolfetch")
def show_fetch(request: HttpRequest, fetch_id: int) -> TemplateResponse:
    details = read_fetch(fetch_id)
    if details is None:
        raise Http404
    title = str(details.fetch.school or _("School list"))
    context = {"details": details, "actions": allowed(FETCH_ACTIONS, request)}
    return render_page(request, "dashboard/fetches_detail.html", title=title, context=context)
