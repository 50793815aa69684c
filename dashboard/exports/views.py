"""Exports: the list, the form with its plan, and what can be done with one."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from collection import exports
from collection.models import Audience, Export
from collection.planning import first_monday_at
from dashboard.exports.forms import ExportForm
from dashboard.exports.rows import Row
from dashboard.exports.schedules import scheduled
from dashboard.pages import render_fragment, render_page, requires

PERMISSION = "collection.export_data"
ON_A_PAGE = 50
# What a link to the form may fill in already.
_FILLED_BY_LINK = ("dataset", "first_monday", "weeks", "schools", "audience", "file_format")


@require_safe
@requires(PERMISSION)
def list_exports(request: HttpRequest) -> TemplateResponse:
    context = {**_rows(request), "schedules": scheduled(now=timezone.now())}
    return render_page(request, "dashboard/exports_list.html", title=_("Exports"), context=context)


@require_safe
@requires(PERMISSION)
def list_rows(request: HttpRequest) -> TemplateResponse:
    return render_fragment(request, "dashboard/_exports_rows.html", _rows(request))


def _rows(request: HttpRequest) -> dict[str, object]:
    now = timezone.now()
    known = Export.objects.select_related("asked_by").defer("manifest")
    page = Paginator(known, ON_A_PAGE).get_page(request.GET.get("page"))
    return {"page": page, "rows": [Row(export, now) for export in page.object_list]}


@requires(PERMISSION)
def ask_for_export(request: HttpRequest) -> TemplateResponse | HttpResponseRedirect:
    if request.method == "POST":
        form = ExportForm(request.POST)
        if form.is_valid():
            export = exports.ask(
                form.save(commit=False), asked_by=request.user.pk, now=timezone.now()
            )
            _log(request, export, _("Asked for"), flag=ADDITION)
            messages.success(request, _("The export is on its way; its state is shown below."))
            return redirect("dashboard:export-list")
    else:
        form = ExportForm(initial=_initial(request))
    return render_page(
        request,
        "dashboard/exports_form.html",
        title=_("New export"),
        context={"form": form, "has_plan": True},
    )


def _initial(request: HttpRequest) -> dict[str, object]:
    """The last week that is over, for people, unless the link says otherwise."""
    given = {name: request.GET[name] for name in _FILLED_BY_LINK if name in request.GET}
    return {
        "first_monday": first_monday_at(timezone.now(), offset=-1),
        "audience": Audience.PEOPLE,
        "levels": request.GET.getlist("levels"),
        "offices": request.GET.getlist("offices"),
        **given,
    }


@require_POST
@requires(PERMISSION)
def show_plan(request: HttpRequest) -> TemplateResponse:
    """What the form as it is filled in now would make."""
    form = ExportForm(request.POST)
    plan = exports.plan(form.save(commit=False)) if form.is_valid() else None
    return render_fragment(request, "dashboard/_exports_plan.html", {"form": form, "plan": plan})


@require_POST
@requires(PERMISSION)
def cancel_export(request: HttpRequest, export_id: UUID) -> HttpResponseRedirect:
    export = _one(export_id)
    if exports.cancel(export_id):
        _log(request, export, _("Cancelled"))
        messages.success(request, _("The export was cancelled."))
    else:
        messages.warning(request, _("The export had already ended."))
    return redirect("dashboard:export-list")


@require_POST
@requires(PERMISSION)
def export_again(request: HttpRequest, export_id: UUID) -> HttpResponseRedirect:
    export = exports.again(_one(export_id), asked_by=request.user.pk, now=timezone.now())
    _log(request, export, _("Asked for again"), flag=ADDITION)
    messages.success(request, _("The export is on its way; its state is shown below."))
    return redirect("dashboard:export-list")


@require_POST
@requires(PERMISSION)
def delete_export(request: HttpRequest, export_id: UUID) -> HttpResponseRedirect:
    export = _one(export_id)
    if exports.delete(export_id):
        _log(request, export, _("File deleted"))
        messages.success(request, _("The file is deleted; the row stays."))
    else:
        messages.warning(request, _("There is no file to delete."))
    return redirect("dashboard:export-list")


def _one(export_id: UUID) -> Export:
    return get_object_or_404(Export.objects.defer("manifest"), pk=export_id)


def _log(request: HttpRequest, export: Export, what: str, *, flag: int = CHANGE) -> None:
    LogEntry.objects.log_actions(cast("int", request.user.pk), [export], flag, change_message=what)
