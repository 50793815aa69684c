"""Rows of the ledger, made as the program makes them, and a second connection to look from."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, TypeVar

from django.db import connection
from django.utils import timezone

from collection import claiming, partitions
from collection.claiming import Claim
from collection.models import FetchState, Level, Office, Run, School, SchoolFetch, Trigger
from collection.planning import window
from tests.collection.rows import MONDAY, OFFICE, SCHOOL

Result = TypeVar("Result")


def make_school(
    code: str = SCHOOL,
    *,
    office: str = OFFICE,
    level: Level = Level.HIGH,
    services: Sequence[str] = ("hisTimetable",),
    **columns: Any,
) -> School:
    Office.objects.get_or_create(code=office, defaults={"name": f"교육청 {office}"})
    return School.objects.create(
        office_id=office,
        code=code,
        name=f"학교 {code}",
        level=level,
        services=list(services),
        listed_at=timezone.now(),
        **columns,
    )


def make_run(*, first_monday: date = MONDAY, weeks: int = 1, **columns: Any) -> Run:
    partitions.ensure(window(first_monday, weeks))
    return Run.objects.create(
        trigger=Trigger.MANUAL,
        first_monday=first_monday,
        weeks=weeks,
        created_at=timezone.now(),
        **columns,
    )


def make_fetch(school: School | None = None, run: Run | None = None, **columns: Any) -> SchoolFetch:
    return SchoolFetch.objects.create(
        school=school or make_school(), run=run or make_run(), **columns
    )


def with_fetches(run: Run, *states: FetchState) -> None:
    """One for each state, of schools of their own."""
    for number, state in enumerate(states):
        make_fetch(make_school(f"{run.pk}-{number}"), run, state=state)


def take(fetch: SchoolFetch, *, worker: str = "worker@here", lease_seconds: float = 60) -> Claim:
    claim = claiming.claim(fetch.pk, worker=worker, task_id=None, lease_seconds=lease_seconds)
    assert claim is not None
    return claim


def claimed(school: School, *, weeks: int = 1, first_monday: date = MONDAY) -> Claim:
    """The claim of a new run on a school."""
    return take(make_fetch(school, make_run(weeks=weeks, first_monday=first_monday)))


def at_once(act: Callable[[int], Result], *, times: int) -> list[Result]:
    """Runs `act` in threads that start together, each with a connection of its own."""
    together = threading.Barrier(times)

    def start(number: int) -> Result:
        try:
            connection.ensure_connection()
            together.wait(timeout=10)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(start, range(times)))
