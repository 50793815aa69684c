"""What every page of the console has: who may see it, and the frame around it."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def requires(*permissions: str) -> Callable[[View[P]], View[P]]:
    """For staff who have all of `permissions`; others log in, or are refused with 403."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_active or not request.user.is_staff:
                return redirect_to_login(request.get_full_path(), "admin:login")
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast("View[P]", never_cache(guarded))

    return decorate


def render_page(
    request: HttpRequest, template: str, *, title: str, context: Mapping[str, Any] | None = None
) -> TemplateResponse:
    """A whole page in the console's frame; its template extends dashboard/page.html."""
    frame = admin.site.each_context(request)
    return TemplateResponse(request, template, {**frame, "title": title, **(context or {})})


def render_fragment(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None
) -> TemplateResponse:
    """A part of a page that htmx asks for by itself; its template begins with an underscore."""
    return TemplateResponse(request, template, dict(context or {}))
