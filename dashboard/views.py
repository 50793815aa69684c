"""The strip of the system's state that every page keeps fresh, and the page of who is locked out."""

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.utils import timezone

from dashboard.pages import render_fragment, requires
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
