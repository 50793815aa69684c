"""What runs have done so far, counted from their fetches and from nothing else."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count, F, Max, Q, Sum

from collection.models import (
    FINAL_RUN_STATES,
    OPEN_FETCH_STATES,
    FetchState,
    Level,
    Run,
    SchoolFetch,
)

_SHOWN_ORDER = (
    FetchState.SUCCEEDED,
    FetchState.EMPTY,
    FetchState.HELD,
    FetchState.FAILED,
    FetchState.CANCELLED,
    FetchState.RUNNING,
    FetchState.WAITING,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One state's share of a bar."""

    state: FetchState
    count: int
    percent: float

    @property
    def label(self) -> str:
        return str(self.state.label)


@dataclass(slots=True)
class Tally:
    """`retries` are the attempts after the first one of each school."""

    by_state: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    requests: int = 0
    received: int = 0
    stored: int = 0
    unchanged: int = 0
    held: int = 0
    duplicate: int = 0
    rejected: int = 0
    removed: int = 0

    @property
    def planned(self) -> int:
        return sum(self.by_state.values())

    @property
    def open(self) -> int:
        return sum(self.by_state.get(state, 0) for state in OPEN_FETCH_STATES)

    @property
    def done(self) -> int:
        return self.planned - self.open

    @property
    def share(self) -> float | None:
        return self.done / self.planned if self.planned else None

    @property
    def failed(self) -> int:
        return self.by_state.get(FetchState.FAILED, 0)

    @property
    def held_schools(self) -> int:
        return self.by_state.get(FetchState.HELD, 0)

    @property
    def parts(self) -> list[Part]:
        """The states that occur, what has ended before what is open."""
        return [
            Part(state, count, 100 * count / self.planned)
            for state in _SHOWN_ORDER
            if (count := self.by_state.get(state, 0))
        ]

    def add(self, row: Mapping[str, Any]) -> None:
        state = row["state"]
        self.by_state[state] = self.by_state.get(state, 0) + row["fetches"]
        for name in _SUMS:
            if name in row:
                setattr(self, name, getattr(self, name) + row[name])


_SUMS = tuple(item.name for item in fields(Tally) if item.name != "by_state")
_RETRIES = Sum(F("attempt") - 1, filter=Q(attempt__gt=0), default=0)
_ENTRY_SUMS = {name: Sum(name, default=0) for name in _SUMS if name != "retries"}


def tally_runs(runs: Sequence[Run]) -> dict[int, Tally]:
    """Nothing changes the tally of a run that has ended: this process remembers it."""
    ended = {_cache_key(run): run.pk for run in runs if run.state in FINAL_RUN_STATES}
    known = {ended[key]: tally for key, tally in cache.get_many(ended).items()}
    counted = _count([run.pk for run in runs if run.pk not in known])
    cache.set_many({key: counted[pk] for key, pk in ended.items() if pk in counted}, timeout=None)
    return known | counted


def _cache_key(run: Run) -> str:
    return f"dashboard.tally.{run.pk}"


def _count(run_ids: Sequence[int]) -> dict[int, Tally]:
    tallies: dict[int, Tally] = {run_id: Tally() for run_id in run_ids}
    rows = (
        SchoolFetch.objects.filter(run__in=run_ids)
        .order_by()
        .values("run_id", "state")
        .annotate(fetches=Count("id"), retries=_RETRIES, **_ENTRY_SUMS)
    )
    for row in rows if tallies else ():
        tallies[row["run_id"]].add(row)
    return tallies


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One run's tally as a whole, by office and by level. The fetch of the school list, which
    belongs to no school, is in the whole alone."""

    whole: Tally
    by_office: dict[str, Tally]
    by_level: dict[Level, Tally]
    last_retry_at: datetime | None


def break_down(run_id: int) -> Breakdown:
    rows = list(
        SchoolFetch.objects.filter(run=run_id)
        .order_by()
        .values("school__office_id", "school__level", "state")
        .annotate(
            fetches=Count("id"),
            retries=_RETRIES,
            retry_at=Max("next_attempt_at", filter=Q(state=FetchState.WAITING)),
            **_ENTRY_SUMS,
        )
    )
    of_schools = [row for row in rows if row["school__level"]]
    levels = _group(of_schools, lambda row: row["school__level"])
    whole = Tally()
    for row in rows:
        whole.add(row)
    return Breakdown(
        whole=whole,
        by_office=dict(sorted(_group(of_schools, lambda row: row["school__office_id"]).items())),
        by_level={level: levels[level] for level in Level if level in levels},
        last_retry_at=max((row["retry_at"] for row in rows if row["retry_at"]), default=None),
    )


def _group(
    rows: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str]
) -> dict[str, Tally]:
    groups: dict[str, Tally] = defaultdict(Tally)
    for row in rows:
        groups[key(row)].add(row)
    return groups
