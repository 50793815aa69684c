"""The strip of the system's state that every page keeps fresh, and the pages of who is locked out,
refused or lost."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views import defaults

from dashboard.pages import render_fragment, render_page, requires
from dashboard.status import read_status


@requires()
def show_status(request: HttpRequest) -> TemplateResponse:
    return render_fragment(
        request, "dashboard/_status.html", {"status": read_status(now=timezone.now())}
    )


def show_locked_out(
    request: HttpRequest, original_response: object, credentials: object
) -> SimpleTemplateResponse:
    """As django-axes calls it, which would leave out the colours and styles of the console."""
    return TemplateResponse(
        request, "dashboard/locked_out.html", admin.site.each_context(request), status=429
    ).render()


def show_refused(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """As Django calls it. Who is not logged in as staff learns nothing of the console."""
    if not request.user.is_staff:
        return defaults.permission_denied(request, exception)
    page = render_page(request, "dashboard/refused.html", title=_("Not allowed"))
    page.status_code = 403
    return page.render()


def show_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not request.user.is_staff:
        return defaults.page_not_found(request, exception)
    page = render_page(request, "dashboard/not_found.html", title=_("Not found"))
    page.status_code = 404
    return page.render()
