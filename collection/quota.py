"""What the console shows of the keys and their daily calls, and what a run would need."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from django.conf import settings
from django.db.models import Count, Max, Q

from collection import estimating
from collection.clock import database_now
from collection.estimating import Expected, Past
from collection.keys import fingerprints, label_of
from collection.models import ApiKeyState, Dataset, KeyUsage, Run, RunState, SchoolWeek
from collection.planning import KOREA, next_day_begins
from collection.starting import Plan

_WEEKS_LOOKED_AT = 4
_RUNS_LOOKED_AT = 5


class KeyState(Enum):
    USABLE = "usable"
    SPENT = "spent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """`used` counts calls set aside in blocks: up to a block for each process more than were made.
    `limit` is None when it is not known."""

    label: str
    state: KeyState
    used: int
    limit: int | None
    resets_at: datetime

    @property
    def left(self) -> int | None:
        if self.state is not KeyState.USABLE:
            return 0
        return None if self.limit is None else max(self.limit - self.used, 0)


def use_of_keys() -> list[KeyUse]:
    """One for each key of the environment, in its order."""
    now = database_now()
    names = fingerprints(settings.NEIS_API_KEYS, secret=settings.SECRET_KEY)
    today = KeyUsage.objects.filter(fingerprint__in=names, day=now.astimezone(KOREA).date())
    used = dict(today.values_list("fingerprint", "calls"))
    aside = ApiKeyState.objects.in_bulk(names)
    return [
        KeyUse(
            label=label_of(number),
            state=_state(aside.get(name), now),
            used=used.get(name, 0),
            limit=settings.NEIS_DAILY_CALLS or None,
            resets_at=next_day_begins(now),
        )
        for number, name in enumerate(names, start=1)
    ]


def _state(aside: ApiKeyState | None, now: datetime) -> KeyState:
    if aside is None:
        return KeyState.USABLE
    if aside.refused_at:
        return KeyState.REFUSED
    return KeyState.SPENT if aside.spent_until and aside.spent_until > now else KeyState.USABLE


@dataclass(frozen=True, slots=True)
class Estimate:
    """`seconds` is None when nothing is known. `fits`: the calls that are left today are enough,
    as far as they are known."""

    schools: int
    requests: int
    seconds: float | None
    fits: bool


def estimate(plan: Plan) -> Estimate:
    """Seven queries, however many schools there are."""
    schools = _expected(plan)
    needed = estimating.requests(schools, weeks=plan.weeks)
    left = [key.left for key in use_of_keys()]
    return Estimate(
        schools=len(schools),
        requests=needed,
        seconds=estimating.seconds(
            requests=needed,
            schools=len(schools),
            requests_per_second=settings.NEIS_REQUESTS_PER_SECOND,
            past=_past(plan),
        ),
        # Without any key no run starts at all, and that is said elsewhere.
        fits=not left or None in left or needed <= sum(calls or 0 for calls in left),
    )


def _expected(plan: Plan) -> list[Expected]:
    latest = _latest_monday(plan.first_monday + timedelta(weeks=plan.weeks))
    weeks: dict[int, int] = {}
    if latest is not None:
        looked_at = SchoolWeek.objects.filter(
            monday__gt=latest - timedelta(weeks=_WEEKS_LOOKED_AT), monday__lte=latest, entries__gt=0
        )
        weeks = dict(looked_at.values_list("school_id").annotate(most=Max("entries")))
    schools = plan.matching_schools().order_by().values_list("id", "services")
    return [Expected(weeks.get(pk, 0), len(services)) for pk, services in schools]


def _latest_monday(before: date) -> date | None:
    """The latest week with a stored answer up to the end of the window."""
    latest: date | None = SchoolWeek.objects.filter(monday__lt=before).aggregate(
        latest=Max("monday")
    )["latest"]
    return latest


def _past(plan: Plan) -> list[Past]:
    """Completed runs of as many weeks over the same levels, the newest first."""
    runs = (
        Run.objects.filter(
            state=RunState.COMPLETED,
            dataset=Dataset.TIMETABLE,
            weeks=plan.weeks,
            levels=list(plan.levels),
        )
        .annotate(schools=Count("fetches", filter=Q(fetches__attempt__gt=0)))
        .filter(schools__gt=0, finished_at__isnull=False)
        .order_by("-id")[:_RUNS_LOOKED_AT]
    )
    return [
        Past((finished_at - created_at).total_seconds(), schools)
        for created_at, finished_at, schools in runs.values_list(
            "created_at", "finished_at", "schools"
        )
        if finished_at is not None
    ]
