"""Held weeks: what NEIS would take away, and the decision about it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from collection import held
from collection.models import HeldWeek
from dashboard.batches import allowed, perform
from dashboard.held.actions import DECIDE, HELD_ACTIONS
from dashboard.held.filters import HeldFilters
from dashboard.held.reads import read_difference, read_held
from dashboard.pages import render_fragment, render_page, requires
from dashboard.paging import without_position


@requires("collection.view_heldweek")
def list_held(request: HttpRequest) -> TemplateResponse:
    filters = HeldFilters(request.GET)
    rows = filters.apply(HeldWeek.objects.all())
    context = {
        "filters": filters,
        "page": read_held(rows, request.GET),
        "count": held.undecided(rows).count(),
        "query": without_position(request.GET),
        "actions": allowed(HELD_ACTIONS, request),
    }
    return render_page(request, "dashboard/held_list.html", title=_("Held weeks"), context=context)


@requires("collection.view_heldweek")
def show_difference(request: HttpRequest, week_id: int) -> TemplateResponse:
    week = get_object_or_404(HeldWeek, pk=week_id)
    return render_fragment(
        request, "dashboard/_held_difference.html", {"difference": read_difference(week)}
    )


@require_POST
@requires("collection.view_heldweek", DECIDE)
def act(request: HttpRequest) -> HttpResponse:
    return perform(
        request,
        actions=HELD_ACTIONS,
        rows=HeldWeek.objects.defer("payload").select_related("school"),
        filters=HeldFilters,
        home=reverse("dashboard:held-list"),
    )
