"""Timetables: find a school, then one class's week as a grid, on paper, or as CSV."""

from datetime import date, timedelta
from typing import Any

from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from collection.models import Level, Office, School
from collection.planning import monday_of
from dashboard.coverage.schools import read_reason
from dashboard.coverage.weeks import read_monday
from dashboard.csv_download import download
from dashboard.pages import render_fragment, render_page, requires
from dashboard.timetables.grid import identity_of
from dashboard.timetables.marks import EXPLANATIONS
from dashboard.timetables.reads import SchoolTimetable, read_school, read_timetable
from dashboard.timetables.searching import MOST_FOUND, find_schools

VIEW = "collection.view_timetableentry"


@requires(VIEW)
def search_timetables(request: HttpRequest) -> TemplateResponse:
    return render_page(
        request,
        "dashboard/timetable_search.html",
        title=_("Timetables"),
        context={**_found(request), "offices": Office.objects.all(), "levels": Level.choices},
    )


@requires(VIEW)
def show_found(request: HttpRequest) -> TemplateResponse:
    """What the search finds while somebody types."""
    return render_fragment(request, "dashboard/_timetable_found.html", _found(request))


def _found(request: HttpRequest) -> dict[str, Any]:
    query = {name: request.GET.get(name, "")[:100] for name in ("q", "office", "level")}
    asked = bool(query["q"].strip() or query["office"])
    schools = (
        find_schools(query["q"], office=query["office"], level=query["level"]) if asked else []
    )
    return {
        "query": query,
        "asked": asked,
        "schools": schools[:MOST_FOUND],
        "has_more": len(schools) > MOST_FOUND,
    }


@requires(VIEW)
def show_timetable(request: HttpRequest, office: str, code: str) -> TemplateResponse:
    school, monday, timetable = _asked_for(request, office, code)
    grid = timetable.grid
    return render_page(
        request,
        "dashboard/timetable.html",
        title=school.name,
        context={
            "school": school,
            "monday": monday,
            "sunday": monday + timedelta(days=6),
            "earlier": monday - timedelta(weeks=1),
            "later": monday + timedelta(weeks=1),
            "timetable": timetable,
            "grid": grid,
            "line": None if grid else read_reason(school, monday, today=timezone.localdate()),
            "marks": [(mark, EXPLANATIONS[mark]) for mark in grid.marks] if grid else [],
        },
    )


@requires(VIEW, "collection.export_data")
def download_csv(request: HttpRequest, office: str, code: str) -> StreamingHttpResponse:
    school, monday, timetable = _asked_for(request, office, code)
    if timetable.grid is None:
        raise Http404
    chosen = timetable.grid.identity
    header = ("date", "period", "subject", "classroom", "grade", "class_name", "course",
              "day_night", "track", "department")  # fmt: skip
    rows = [entry for entry in timetable.entries if identity_of(entry) == chosen]
    return download(
        f"timetable-{school.code}-{monday}.csv",
        header,
        ([getattr(entry, column) for column in header] for entry in rows),
    )


def _asked_for(
    request: HttpRequest, office: str, code: str
) -> tuple[School, date, SchoolTimetable]:
    """The class and week of the address: this week and the first class where it names none."""
    school = read_school(office, code)
    if school is None:
        raise Http404
    this_week = monday_of(timezone.localdate())
    monday = read_monday(request.GET.get("week"), default=this_week)
    return school, monday, read_timetable(school, monday, request.GET.get("class", ""))
