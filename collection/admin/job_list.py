"""What the list of jobs says of each: a fixed number of queries, however many jobs there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext

from collection import due, scheduling
from collection.models import OPEN_RUN_STATES, FetchState, Job, Run, RunState, SchoolFetch

_SHOWN_RUNS = 10
_TALLEST_BAR = 24
_LOWEST_BAR = 4

# For each job by its index: a window function would read every run that there ever was.
_LATEST_RUNS = """
SELECT run.id, run.job_id, run.state, run.skip_reason, run.created_at, run.finished_at
  FROM unnest(%s::bigint[]) AS job(id)
 CROSS JOIN LATERAL (
       SELECT * FROM collection_run WHERE job_id = job.id ORDER BY id DESC LIMIT %s
 ) AS run
 ORDER BY run.id
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One run in the sparkline: as high as it was long, compared to the others.

    `words` say the same: hundreds of them stand on the page, too many for templates of their own.
    """

    run: Run
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """`schedule` is empty for a job that is started by hand alone."""

    schedule: str
    next_at: datetime | None
    bars: Sequence[Bar]
    failed: int
    held: int

    @property
    def last_run(self) -> Run | None:
        return self.bars[-1].run if self.bars else None

    @property
    def open_run(self) -> Run | None:
        runs = [bar.run for bar in self.bars if bar.run.state in OPEN_RUN_STATES]
        return runs[-1] if runs else None

    @property
    def is_paused(self) -> bool:
        return self.open_run is not None and self.open_run.state == RunState.PAUSED


def read_rows(jobs: Sequence[Job], *, now: datetime) -> dict[int, Row]:
    """By job; the jobs come with their periodic tasks."""
    runs: dict[int, list[Run]] = {job.pk: [] for job in jobs}
    for run in Run.objects.raw(_LATEST_RUNS, [list(runs), _SHOWN_RUNS]):
        if run.job_id is not None:
            runs[run.job_id].append(run)
    unwell = _unwell([latest[-1].pk for latest in runs.values() if latest])
    return {job.pk: _row(job, runs[job.pk], unwell, now=now) for job in jobs}


def schedule_in_words(job: Job, *, now: datetime) -> str:
    if job.periodic_task is None:
        return ""
    try:
        return scheduling.in_words(scheduling.schedule_of(job.periodic_task, anchor=now))
    except ValidationError as error:
        return " ".join(error.messages)


def _row(
    job: Job, runs: Sequence[Run], unwell: dict[tuple[int, str], int], *, now: datetime
) -> Row:
    last = runs[-1].pk if runs else 0
    return Row(
        schedule=schedule_in_words(job, now=now),
        next_at=next(iter(due.next_times(job, now=now)), None),
        bars=_bars(runs),
        failed=unwell.get((last, FetchState.FAILED), 0),
        held=unwell.get((last, FetchState.HELD), 0),
    )


def _unwell(run_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """Few of many, and found by an index: counting them is cheap."""
    rows = (
        SchoolFetch.objects.filter(run__in=run_ids, state__in=[FetchState.FAILED, FetchState.HELD])
        .order_by()
        .values_list("run_id", "state")
        .annotate(count=Count("id"))
    )
    return {(run_id, state): count for run_id, state, count in rows}


def _bars(runs: Sequence[Run]) -> list[Bar]:
    minutes = [_minutes(run) for run in runs]
    longest = max((one for one in minutes if one is not None), default=0.0)
    return [
        Bar(run, _height(lasted, longest), _bar_in_words(run, lasted))
        for run, lasted in zip(runs, minutes, strict=True)
    ]


def _bar_in_words(run: Run, minutes: float | None) -> str:
    began = f"{timezone.localtime(run.created_at):%Y-%m-%d %H:%M}"
    words = f"#{run.pk}, {began}: {RunState(run.state).label}"
    if minutes is None:
        return words
    return f"{words}, {gettext('%(minutes)s min') % {'minutes': f'{minutes:.1f}'}}"


def _minutes(run: Run) -> float | None:
    if run.finished_at is None or run.state == RunState.SKIPPED:
        return None
    return (run.finished_at - run.created_at).total_seconds() / 60


def _height(minutes: float | None, longest: float) -> int:
    if not minutes or not longest:
        return _LOWEST_BAR
    return max(_LOWEST_BAR, round(_TALLEST_BAR * minutes / longest))
