"""Failures: what went wrong by kind, the lists behind the numbers, retries, and CSV of them."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_celery_results.models import TaskResult

from collection import starting
from collection.models import Attempt, SchoolFetch
from dashboard.batches import allowed, perform
from dashboard.csv_download import download
from dashboard.failures import reads
from dashboard.failures.filters import AttemptFilters, FetchFilters, TaskFilters
from dashboard.pages import render_fragment, render_page, requires
from dashboard.paging import read_page, without_position
from dashboard.runs.actions import FETCH_ACTIONS

VIEW = "collection.view_schoolfetch"
VIEW_TASKS = "django_celery_results.view_taskresult"
EXPORT = "collection.export_data"
RETRY = [action for action in FETCH_ACTIONS if action.name == "retry"]


@requires(VIEW)
def list_failures(request: HttpRequest) -> TemplateResponse:
    context = {**_groups(request), "retries": reads.read_retries(now=timezone.now())}
    return render_page(request, "dashboard/failure_list.html", title=_("Failures"), context=context)


@requires(VIEW)
def show_groups(request: HttpRequest) -> TemplateResponse:
    return render_fragment(request, "dashboard/_failure_groups.html", _groups(request))


def _groups(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    fetches = reads.read_fetch_groups(now=now)
    may_see_tasks = request.user.has_perm(VIEW_TASKS)
    return {
        "fetches": fetches,
        "attempts": reads.read_attempt_groups(now=now),
        "tasks": reads.read_task_groups(now=now) if may_see_tasks else None,
        "blame": reads.split_blame(fetches, now=now),
        "actions": allowed(RETRY, request),
    }


@requires(VIEW)
def list_fetches(request: HttpRequest) -> TemplateResponse:
    filters = FetchFilters(request.GET)
    rows = filters.apply(SchoolFetch.objects.all())
    context = {
        "filters": filters,
        "page": read_page(rows.select_related("run", "school__office"), request.GET),
        "count": starting.retryable(rows).count(),
        "query": without_position(request.GET),
        "actions": allowed(RETRY, request),
    }
    if request.headers.get("HX-Request"):
        return render_fragment(request, "dashboard/_failure_fetches.html", context)
    return render_page(
        request, "dashboard/failure_fetches.html", title=_("Schools that failed"), context=context
    )


@require_POST
@requires(VIEW)
def act_on_fetches(request: HttpRequest) -> HttpResponse:
    return perform(
        request,
        actions=RETRY,
        rows=SchoolFetch.objects.select_related("school"),
        filters=FetchFilters,
        home=reverse("dashboard:failure-fetches"),
    )


@requires(VIEW)
def list_attempts(request: HttpRequest) -> TemplateResponse:
    filters = AttemptFilters(request.GET)
    rows = filters.apply(Attempt.objects.select_related("fetch__school"))
    return _list(request, "failure_attempts", _("Attempts that went wrong"), filters, rows)


@requires(VIEW, VIEW_TASKS)
def list_tasks(request: HttpRequest) -> TemplateResponse:
    filters = TaskFilters(request.GET)
    rows = filters.apply(TaskResult.objects.all())
    return _list(request, "failure_tasks", _("Tasks that failed"), filters, rows)


def _list(
    request: HttpRequest, template: str, title: str, filters: Any, rows: QuerySet[Any]
) -> TemplateResponse:
    context = {
        "filters": filters,
        "page": read_page(rows, request.GET),
        "query": without_position(request.GET),
    }
    return render_page(request, f"dashboard/{template}.html", title=title, context=context)


@requires(VIEW, EXPORT)
def download_fetches(request: HttpRequest) -> StreamingHttpResponse:
    rows = FetchFilters(request.GET).apply(SchoolFetch.objects.all())
    header = ("run", "office_code", "school_code", "school", "level", "error_class", "error_code",
              "message", "attempts", "failed_at", "retried_by")  # fmt: skip
    columns = ("run", "school__office", "school__code", "school__name", "school__level",
               "error_class", "error_code", "error_message", "attempt", "finished_at",
               "retried_by__run")  # fmt: skip
    return download("failed-schools.csv", header, _lines(rows, columns))


@requires(VIEW, EXPORT)
def download_attempts(request: HttpRequest) -> StreamingHttpResponse:
    rows = AttemptFilters(request.GET).apply(Attempt.objects.all())
    header = ("run", "office_code", "school_code", "school", "attempt", "outcome", "error_class",
              "error_code", "message", "worker", "started_at", "finished_at")  # fmt: skip
    columns = ("fetch__run", "fetch__school__office", "fetch__school__code",
               "fetch__school__name", "number", "outcome", "error_class", "error_code",
               "error_message", "worker", "started_at", "finished_at")  # fmt: skip
    return download("failed-attempts.csv", header, _lines(rows, columns))


def _lines(rows: QuerySet[Any], columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Times are told in Korea's, to the second."""
    for row in rows.order_by("-pk").values_list(*columns).iterator(chunk_size=2000):
        yield tuple(
            timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
            if hasattr(value, "tzinfo")
            else value
            for value in row
        )
