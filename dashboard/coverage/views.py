"""The coverage map, the schools behind a cell, and collecting those that are missing."""

from datetime import date, timedelta

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from collection import audit, coverage, starting
from collection.models import Coverage, Level, Office, Run, Trigger
from collection.planning import monday_of
from collection.starting import NotStarted
from dashboard.coverage import cells, reads, schools
from dashboard.coverage.schools import MISSING, Choice
from dashboard.coverage.weeks import SPANS, read_monday, read_span, span_until
from dashboard.pages import render_page, requires


@requires("collection.view_schoolweek")
def show_coverage(request: HttpRequest) -> TemplateResponse:
    now = timezone.now()
    next_week = monday_of(timezone.localdate(now)) + timedelta(weeks=1)
    span = read_span(request.GET.get("weeks"))
    last = read_monday(request.GET.get("until"), default=next_week)
    office, level = request.GET.get("office", ""), request.GET.get("level", "")
    coverage_map = reads.read_map(span_until(last, span), office=office, level=level)
    drawn = iter(cells.draw(coverage_map))
    return render_page(
        request,
        "dashboard/coverage_map.html",
        title=_("Coverage"),
        context={
            "map": coverage_map,
            "groups": [(g, [(row, next(drawn)) for row in g.rows]) for g in coverage_map.groups],
            "this_monday": monday_of(timezone.localdate(now)),
            "as_of": coverage.as_of(),
            "freshness": reads.read_freshness(now=now),
            "spans": SPANS,
            "span": span,
            "until": last,
            "earlier": last - timedelta(weeks=span),
            "later": last + timedelta(weeks=span) if last < next_week else None,
            "offices": Office.objects.all(),
            "levels": Level.choices,
            "office": office,
            "level": level,
        },
    )


@requires("collection.view_schoolweek")
def show_week(request: HttpRequest, monday: date) -> TemplateResponse:
    choice = _choice(monday, request.GET)
    return render_page(
        request,
        "dashboard/coverage_week.html",
        title=_("Coverage of a week"),
        context={
            "choice": choice,
            "sunday": monday + timedelta(days=6),
            "earlier": monday - timedelta(weeks=1),
            "later": monday + timedelta(weeks=1),
            "week": schools.read_week(choice, today=timezone.localdate()),
            "states": [(MISSING, _("All that are missing")), *Coverage.choices],
            "office": Office.objects.filter(code=choice.office).first(),
            "offices": Office.objects.all(),
            "levels": Level.choices,
            "level_label": dict(Level.choices).get(choice.level, ""),
            "most_shown": schools.MOST_SHOWN,
        },
    )


@require_POST
@requires("collection.view_schoolweek", "collection.operate_run")
def collect(request: HttpRequest, monday: date) -> HttpResponse:
    """One run of one week, of the schools that the page shows or of those that are named."""
    user = request.user
    assert isinstance(user, AbstractBaseUser)
    choice = _choice(monday, request.POST)
    codes = request.POST.getlist("school") or schools.codes_to_collect(choice)
    address = f"{reverse('dashboard:coverage-week', args=[monday])}?{choice.query}"
    if not codes:
        messages.warning(request, _("No school matches: there is nothing to collect."))
        return redirect(address)
    try:
        run = starting.start(
            choice.plan(codes), trigger=Trigger.MANUAL, now=timezone.now(), started_by=user
        )
    except NotStarted as refusal:
        messages.error(request, str(refusal))
        return redirect(address)
    audit.record(user, run, audit.change("schools", None, len(codes)))
    messages.success(request, _started(run, len(codes)))
    return redirect(address)


def _started(run: Run, schools_count: int) -> SafeString:
    text = ngettext(
        "%(n)s school is being collected by run",
        "%(n)s schools are being collected by run",
        schools_count,
    ) % {"n": f"{schools_count:,}"}
    return format_html('{} <a href="{}">{}</a>', text, reverse("dashboard:run-list"), run)


def _choice(monday: date, query: QueryDict) -> Choice:
    """Of a week that is asked for without a state those are shown that are missing."""
    return Choice(
        monday,
        office=query.get("office", ""),
        level=query.get("level", ""),
        state=query.get("state", MISSING),
    )
