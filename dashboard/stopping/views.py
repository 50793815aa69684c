"""The switch that stops all collecting, and its confirmation."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from collection import audit, stopping
from collection.models import FetchState, Run, RunState, SchoolFetch, StopSwitch
from dashboard.pages import render_page, requires


@requires("collection.operate_stopswitch")
def stop(request: HttpRequest) -> HttpResponseBase:
    """GET asks, POST stops."""
    if request.method != "POST":
        return render_page(
            request, "dashboard/stop.html", title=_("Stop all collecting"), context=_under_way()
        )
    if _switch(request, on=True):
        messages.warning(
            request,
            _("All collecting is stopped: nothing new is begun, what is under way may end."),
        )
    else:
        messages.info(request, _("All collecting was stopped already."))
    return redirect("dashboard:overview")


@require_POST
@requires("collection.operate_stopswitch")
def go_on(request: HttpRequest) -> HttpResponse:
    if _switch(request, on=False):
        messages.success(request, _("Collecting goes on."))
    else:
        messages.info(request, _("Collecting was not stopped."))
    return redirect("dashboard:overview")


def _switch(request: HttpRequest, *, on: bool) -> bool:
    by = request.user if request.user.is_authenticated else None
    with transaction.atomic():
        changed = stopping.stop(by=by) if on else stopping.go_on(by=by)
        if changed:
            switch = StopSwitch.objects.get()
            audit.record(
                request.user,
                switch,
                audit.change(gettext_noop("all collecting stopped"), not on, on),
            )
    return changed


def _under_way() -> dict[str, object]:
    running = Run.objects.filter(state=RunState.RUNNING)
    return {
        "runs": running.count(),
        "fetches": SchoolFetch.objects.filter(state=FetchState.RUNNING, run__in=running).count(),
    }
