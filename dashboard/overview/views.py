"""The front page: whether the week is in, and what needs somebody."""

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from collection.clock import database_now
from dashboard.overview.charts import read_charts
from dashboard.overview.health import read_health
from dashboard.overview.week import read_week
from dashboard.overview.work import read_work
from dashboard.pages import render_fragment, render_page, requires


@requires("collection.view_run")
def show_overview(request: HttpRequest) -> TemplateResponse:
    context = {**_read_now(), "charts": read_charts(now=database_now())}
    return render_page(request, "dashboard/overview.html", title=_("Overview"), context=context)


@requires("collection.view_run")
def show_now(request: HttpRequest) -> TemplateResponse:
    """What moves: everything but the charts."""
    return render_fragment(request, "dashboard/_overview_now.html", _read_now())


def _read_now() -> dict[str, Any]:
    now = database_now()
    return {
        "week": read_week(now=now),
        "health": read_health(now=now),
        "work": read_work(now=now),
    }
