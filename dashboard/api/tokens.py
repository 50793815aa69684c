"""Lets in programs that show a token of API_TOKENS: `Authorization: Bearer …`."""

import hmac
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def token_required(view: View[P]) -> View[P]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return JsonResponse({"error": "GET only"}, status=405, headers={"Allow": "GET, HEAD"})
        if not _is_known(request.headers.get("Authorization", "")):
            return JsonResponse(
                {"error": "Show a token of API_TOKENS: Authorization: Bearer …"},
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        response = view(request, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response

    return cast("View[P]", guarded)


def _is_known(header: str) -> bool:
    scheme, _, shown = header.partition(" ")
    if scheme.lower() != "bearer":
        return False
    known = [hmac.compare_digest(shown.encode(), token.encode()) for token in settings.API_TOKENS]
    # All of them are compared, so that the time it takes tells nothing.
    return any(known)
