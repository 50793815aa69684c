"""What the manifest says is missing, and why."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from collection.exporting import Selection
from collection.exporting.coverage import coverage
from collection.exporting.snapshot import snapshot
from collection.models import HeldWeek
from tests.collection.exporting.stored import note_week
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.collection.rows import MONDAY

pytestmark = pytest.mark.django_db(transaction=True)

NEXT = MONDAY + timedelta(weeks=1)


def _coverage(**selected: Any) -> dict[str, Any]:
    with snapshot() as taken:
        return coverage(taken, Selection([MONDAY, NEXT], **selected))


def _reasons(covered: dict[str, Any]) -> dict[str, tuple[str, str, int]]:
    return {
        item["school_code"]: (item["reason"], item["error"], len(item["weeks"]))
        for item in covered["missing_schools"]
    }


def test_every_school_week_is_collected_or_missing_for_a_reason() -> None:
    earlier, latest = make_run(weeks=2), make_run(weeks=2)
    for school, entries in ((make_school("1"), 5), (make_school("2"), 0)):
        for monday in (MONDAY, NEXT):
            note_week(school, entries=entries, monday=monday)
    failed = make_school("3")
    make_fetch(failed, earlier, state="succeeded")
    make_fetch(failed, latest, state="failed", error_class="timed_out")
    make_fetch(make_school("4"), latest, state="empty")
    make_fetch(make_school("5"), latest, state="waiting")
    make_school("6", closed_at=timezone.now())
    make_school("7")
    half = make_school("8")
    note_week(half, entries=5)
    make_fetch(half, make_run(first_monday=MONDAY - timedelta(weeks=1), weeks=2), state="failed")

    covered = _coverage()
    assert _reasons(covered) == {
        "2": ("no_data", "", 2),
        "3": ("failed", "timed_out", 2),
        "4": ("no_data", "", 2),
        "5": ("under_way", "", 2),
        "6": ("closed", "", 2),
        "7": ("never_tried", "", 2),
        # The run that failed did not ask for the next week.
        "8": ("never_tried", "", 1),
    }
    assert (covered["expected"], covered["collected"]) == (16, 3)
    assert covered["expected"] == covered["collected"] + sum(covered["missing"].values())
    assert covered["missing"]["no_data"] == 4


def test_a_week_with_a_newer_answer_that_is_held_is_collected_and_counted() -> None:
    school = make_school()
    note_week(school, entries=40)
    fetch = make_fetch(school, make_run(weeks=2), state="held")
    HeldWeek.objects.create(
        fetch=fetch, school=school, monday=MONDAY, digest=b"n", old_entries=40, new_entries=0,
        payload=b"", held_at=timezone.now(),
    )  # fmt: skip
    covered = _coverage()
    assert (covered["collected"], covered["collected_but_newer_answer_held"]) == (1, 1)
    assert _reasons(covered) == {school.code: ("held", "", 1)}


def test_only_what_was_selected_is_expected() -> None:
    make_school("1", office="B10")
    make_school("2", office="J10")
    assert _reasons(_coverage(offices=["J10"])) == {"2": ("never_tried", "", 2)}
