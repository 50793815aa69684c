"""Runs that have a past, without a worker that made it."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from collection import storage
from collection.deciding import HoldRule
from collection.models import Attempt, FetchState, HeldWeek, Run, School, SchoolFetch
from collection.normalising import normalise
from tests.collection import rows as wire
from tests.collection.ledger import claimed, make_fetch, make_school
from tests.collection.rows import MONDAY


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


HOLD_RULE = HoldRule(below_share=0.5, from_entries=20)


def store(school: School, lessons: int) -> None:
    """One answer for the week of MONDAY, through a fetch of its own."""
    rows = [
        row | {"SD_SCHUL_CODE": school.code, "ATPT_OFCDC_SC_CODE": school.office_id}
        for row in wire.lessons(lessons)
    ]
    answer = normalise(
        wire.in_columns(rows),
        office_code=school.office_id,
        school_code=school.code,
        mondays=[MONDAY],
    )
    storage.store(claimed(school), answer, service="hisTimetable", requests=1, rule=HOLD_RULE)


def hold(code: str, *, old: int = 30, new: int = 2, **columns: Any) -> HeldWeek:
    """A week that fell from `old` lessons to `new`, held as the program holds it."""
    school = make_school(code, **columns)
    store(school, old)
    store(school, new)
    return HeldWeek.objects.get(school=school)
