"""Overview"""

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from dashboard.pages import render_page, requires


@requires("collection.view_run")
def show_overview(request: HttpRequest) -> TemplateResponse:
    return render_page(request, "dashboard/page.html", title=_("Overview"))
