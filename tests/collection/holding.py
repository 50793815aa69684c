"""Answers that are stored, or held, as the program does it."""

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import F

from collection import storage
from collection.claiming import Claim
from collection.deciding import HoldRule
from collection.models import (
    FetchState,
    HeldState,
    HeldWeek,
    School,
    SchoolFetch,
    TimetableEntry,
)
from collection.normalising import normalise
from tests.collection import rows as wire
from tests.collection.ledger import claimed
from tests.collection.rows import Row

RULE = HoldRule(ask_again_after=timedelta(seconds=660))


def store(claim: Claim, rows: Sequence[Row], *, rule: HoldRule = RULE) -> FetchState:
    own: Row = {"ATPT_OFCDC_SC_CODE": claim.office_code, "SD_SCHUL_CODE": claim.school_code}
    answer = normalise(
        wire.in_columns([row | own for row in rows]),
        office_code=claim.office_code,
        school_code=claim.school_code,
        mondays=claim.mondays,
    )
    return storage.store(claim, answer, service="hisTimetable", requests=1, rule=rule)


def hold(school: School, *, before: int = 40, after: int = 0) -> HeldWeek:
    store(claimed(school), wire.lessons(before))
    store(claimed(school), wire.lessons(after), rule=HoldRule())
    return HeldWeek.objects.get(school=school, state=HeldState.WAITING)


def subjects(school: School) -> list[str | None]:
    entries = TimetableEntry.objects.filter(school=school).order_by("date", "position")
    return list(entries.values_list("subject", flat=True))


def let_pass(**span: float) -> None:
    HeldWeek.objects.update(held_at=F("held_at") - timedelta(**span))
    SchoolFetch.objects.filter(state=FetchState.WAITING).update(
        next_attempt_at=F("next_attempt_at") - timedelta(**span)
    )
