"""Scheduled exports: asked for once at each due time, whoever looks, and for the weeks it meant."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from collection import export_schedules
from collection.models import Export, ExportSchedule
from collection.schedulable import check
from tests.collection.ledger import at_once

pytestmark = pytest.mark.django_db

# A Wednesday in Korea; the export is due on Mondays at 07:00 there, 22:00 UTC on Sundays.
NOW = datetime(2026, 6, 10, 3, tzinfo=UTC)
DUE = datetime(2026, 6, 14, 22, tzinfo=UTC)


def _weekly(**columns: object) -> ExportSchedule:
    schedule = ExportSchedule(
        name="매주", window_offset=-1, weeks=3, audience="machines", **columns
    )
    export_schedules.set_weekly(schedule, weekday="1", at=time(7), enabled=True)
    export_schedules.settle(now=NOW)
    return schedule


def test_an_export_is_asked_for_once_at_its_due_time() -> None:
    schedule = _weekly(levels=["high"])
    assert export_schedules.next_time(schedule, now=NOW) == DUE
    assert export_schedules.settle(now=DUE - timedelta(seconds=1)) == []
    (export,) = export_schedules.settle(now=DUE)
    assert export_schedules.settle(now=DUE + timedelta(minutes=5)) == []
    assert (export.schedule, export.due_at, export.levels) == (schedule, DUE, ["high"])
    # The week before that of the due time, in Korea.
    assert (export.first_monday, export.weeks) == (date(2026, 6, 8), 3)
    assert export.audience == "machines"


def test_what_was_missed_is_made_up_for_once_with_its_own_weeks() -> None:
    _weekly()
    (export,) = export_schedules.settle(now=DUE + timedelta(days=16))
    assert export.first_monday == date(2026, 6, 22)
    assert export_schedules.settle(now=DUE + timedelta(days=16)) == []


def test_nothing_is_asked_for_of_the_time_it_was_off() -> None:
    schedule = _weekly()
    export_schedules.set_weekly(schedule, weekday="1", at=time(7), enabled=False)
    assert export_schedules.settle(now=DUE + timedelta(hours=1)) == []
    export_schedules.set_weekly(schedule, weekday="1", at=time(7), enabled=True)
    assert export_schedules.settle(now=DUE + timedelta(hours=2)) == []
    assert export_schedules.settle(now=DUE + timedelta(hours=3)) == []
    assert len(export_schedules.settle(now=DUE + timedelta(days=7))) == 1


def test_beat_may_send_its_task() -> None:
    task = _weekly().periodic_task
    assert task is not None
    check(task)


@pytest.mark.django_db(transaction=True)
def test_one_of_many_schedulers_asks() -> None:
    _weekly()
    asked = at_once(lambda _: len(export_schedules.settle(now=DUE)), times=5)
    assert sum(asked) == Export.objects.count() == 1
