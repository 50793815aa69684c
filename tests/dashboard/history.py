"""Runs that have a past, without a worker that made it."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from collection.models import Attempt, FetchState, Run, School, SchoolFetch
from tests.collection.ledger import make_fetch

ENDED = (FetchState.SUCCEEDED, FetchState.EMPTY, FetchState.HELD, FetchState.FAILED)


def make_ended(
    school: School,
    run: Run,
    state: FetchState = FetchState.SUCCEEDED,
    *,
    error: str = "",
    attempts: int = 1,
    seconds: float = 2.0,
    ended_at: datetime | None = None,
    requests: int = 2,
    worker: str = "worker@here",
    **columns: Any,
) -> SchoolFetch:
    """A fetch with its attempts: all but the last failed, and the last one too if it has to."""
    ended_at = ended_at or timezone.now()
    error = error or ("timed_out" if state == FetchState.FAILED else "")
    fetch = make_fetch(
        school,
        run,
        state=state,
        attempt=attempts,
        error_class=error,
        claimed_at=ended_at - timedelta(seconds=seconds),
        finished_at=ended_at,
        requests=requests * attempts,
        worker=worker,
        **columns,
    )
    for number in range(1, attempts + 1):
        failed = number < attempts or state == FetchState.FAILED
        Attempt.objects.create(
            fetch=fetch,
            number=number,
            outcome="failed" if failed else "succeeded",
            error_class=(error or "timed_out") if failed else "",
            started_at=ended_at - timedelta(seconds=seconds),
            finished_at=ended_at,
            requests=requests,
            worker=worker,
        )
    return fetch
