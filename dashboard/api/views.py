"""Overview and runs as JSON, for programs with a token."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from collection import breaker, held, liveness, quota, runs
from collection.models import OPEN_RUN_STATES, Run
from dashboard.api.tokens import token_required
from dashboard.status import read_status

PAGE = 50


@token_required
def show_overview(request: HttpRequest) -> JsonResponse:
    status = read_status(now=timezone.now())
    open_runs = Run.objects.filter(state__in=OPEN_RUN_STATES).select_related("job")
    return JsonResponse(
        {
            "scheduler_seen_at": status.scheduler_seen_at,
            "stopped_at": status.stopped_at,
            "open_runs": [_summary(run) for run in open_runs],
            "neis": breaker.state().state,
            "stalled_since": liveness.stalled_since(),
            "keys": [
                {
                    "key": use.label,
                    "state": use.state.value,
                    "calls_today": use.used,
                    "limit": use.limit,
                }
                for use in quota.use_of_keys()
            ],
            "held_weeks": held.waiting().count(),
        }
    )


@token_required
def list_runs(request: HttpRequest) -> JsonResponse:
    """The latest first, 50 at a time; `before` is the `next` of the page before."""
    known = Run.objects.select_related("job")
    before = request.GET.get("before", "")
    if before:
        if not before.isdecimal():
            return JsonResponse({"error": "before: write the number of a run"}, status=400)
        known = known.filter(id__lt=int(before))
    page = list(known[: PAGE + 1])
    return JsonResponse(
        {
            "runs": [_summary(run) for run in page[:PAGE]],
            "next": page[PAGE - 1].pk if len(page) > PAGE else None,
        }
    )


@token_required
def show_run(request: HttpRequest, run_id: int) -> JsonResponse:
    run = Run.objects.select_related("job").filter(pk=run_id).first()
    if run is None:
        return JsonResponse({"error": f"there is no run {run_id}"}, status=404)
    totals = runs.totals(run.pk)
    return JsonResponse(
        {
            **_summary(run),
            "fetches": totals.fetches,
            "entries": totals.entries,
            "requests": totals.requests,
            "retries": totals.retries,
        }
    )


def _summary(run: Run) -> dict[str, Any]:
    return {
        "run": run.pk,
        "job": run.job.name if run.job else None,
        "dataset": run.dataset,
        "trigger": run.trigger,
        "state": run.state,
        "pause_reason": run.pause_reason or None,
        "skip_reason": run.skip_reason or None,
        "due_at": run.due_at,
        "started_at": run.created_at,
        "finished_at": run.finished_at,
        "first_monday": run.first_monday,
        "weeks": run.weeks,
    }
