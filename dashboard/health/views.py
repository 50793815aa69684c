"""For the programs that watch: is it alive, is it ready, how does it do."""

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST

from dashboard.api.tokens import token_required
from dashboard.health.metrics import render
from dashboard.health.probes import probe


@never_cache
def say_alive(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is looked at."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
def say_ready(request: HttpRequest) -> JsonResponse:
    """503 when a part is not well; the answer says which."""
    readiness = probe(now=timezone.now())
    return JsonResponse(asdict(readiness), status=200 if readiness.ready else 503)


@token_required
def show_metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render(now=timezone.now()), content_type=CONTENT_TYPE_LATEST)
