"""The life of a run once it is there: paused, resumed, cancelled, finished once."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Sum, When
from django.db.models.functions import Greatest, Now

from collection import keys
from collection.clock import database_now
from collection.models import (
    OPEN_FETCH_STATES,
    OPEN_RUN_STATES,
    FetchState,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
    Trigger,
)
from collection.planning import next_day_begins


def open_whole() -> QuerySet[Run]:
    """The open runs that are no retries."""
    return Run.objects.filter(state__in=OPEN_RUN_STATES).exclude(trigger=Trigger.RETRY)


def pause(run_id: int, *, reason: PauseReason) -> bool:
    """Nothing new is begun; what runs may end. A spent quota ends by itself, at midnight."""
    until = next_day_begins(database_now()) if reason is PauseReason.QUOTA else None
    changed = Run.objects.filter(pk=run_id, state=RunState.RUNNING).update(
        state=RunState.PAUSED, pause_reason=reason, paused_until=until
    )
    return bool(changed)


def resume(run_id: int) -> bool:
    """By an operator, who also says that refused keys may be tried again, and that what the
    guard stopped the run for has been seen: the guard lets it go on from then on."""
    resumed = _resume(Run.objects.filter(pk=run_id))
    if resumed:
        keys.forgive_refused()
    return bool(resumed)


def resume_due() -> int:
    """Of the runs whose pause is over, and of those that no earlier run of the job keeps waiting."""
    earlier = open_whole().filter(job=OuterRef("job"), pk__lt=OuterRef("pk"))
    waiting = Run.objects.filter(pause_reason=PauseReason.OVERLAP)
    return _resume(Run.objects.filter(paused_until__lte=Now())) + _resume(
        waiting.exclude(Exists(earlier))
    )


def _resume(paused: QuerySet[Run]) -> int:
    return paused.filter(state=RunState.PAUSED).update(
        state=RunState.RUNNING,
        pause_reason="",
        paused_until=None,
        guard_seen_at=Case(
            When(pause_reason=PauseReason.GUARD, then=Now()), default=F("guard_seen_at")
        ),
    )


def cancel(run_id: int) -> int:
    """Ends every open fetch of an open run; one that is under way can't store any more."""
    with transaction.atomic():
        cancelled = Run.objects.filter(pk=run_id, state__in=OPEN_RUN_STATES).update(
            state=RunState.CANCELLED, finished_at=Now(), pause_reason="", paused_until=None
        )
        if not cancelled:
            return 0
        return SchoolFetch.objects.filter(run=run_id, state__in=OPEN_FETCH_STATES).update(
            state=FetchState.CANCELLED, finished_at=Now(), lease_until=None
        )


def finish_due() -> int:
    """Ends the runs that have no open fetch left; one caller wins each. Returns how many.

    One that the guard paused waits for an operator all the same.
    """
    finished = 0
    for run in (
        Run.objects.filter(state__in=OPEN_RUN_STATES)
        .exclude(fetches__state__in=OPEN_FETCH_STATES)
        .exclude(pause_reason=PauseReason.GUARD)
    ):
        unwell = run.fetches.filter(state__in=[FetchState.FAILED, FetchState.HELD]).exists()
        finished += Run.objects.filter(pk=run.pk, state__in=OPEN_RUN_STATES).update(
            state=RunState.INCOMPLETE if unwell else RunState.COMPLETED,
            finished_at=Greatest(Now(), "created_at"),
            pause_reason="",
            paused_until=None,
        )
    return finished


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run has done so far, counted from its fetches.

    Of a fetch that is over: received = stored + unchanged + held + duplicate + rejected.
    """

    fetches: dict[str, int]
    entries: dict[str, int]
    requests: int
    retries: int

    @property
    def planned(self) -> int:
        return sum(self.fetches.values())

    @property
    def done(self) -> int:
        return self.planned - sum(self.fetches.get(state, 0) for state in OPEN_FETCH_STATES)


_ENTRY_SUMS = ("received", "duplicate", "rejected", "stored", "removed", "unchanged", "held")


def totals(run_id: int) -> Totals:
    fetches = SchoolFetch.objects.filter(run=run_id)
    sums: dict[str, Any] = fetches.aggregate(
        **{name: Sum(name, default=0) for name in _ENTRY_SUMS},
        requests=Sum("requests", default=0),
        attempts=Sum("attempt", default=0),
        attempted=Count("id", filter=Q(attempt__gt=0)),
    )
    by_state = fetches.order_by().values_list("state").annotate(count=Count("id"))
    return Totals(
        fetches=dict(by_state),
        entries={name: sums[name] for name in _ENTRY_SUMS},
        requests=sums["requests"],
        retries=sums["attempts"] - sums["attempted"],
    )
