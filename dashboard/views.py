"""The strip of the system's state that every page keeps fresh."""

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from dashboard.pages import render_fragment, requires
from dashboard.status import read_status


@requires()
def show_status(request: HttpRequest) -> TemplateResponse:
    return render_fragment(
        request, "dashboard/_status.html", {"status": read_status(now=timezone.now())}
    )
