"""What is deleted by age, what is never deleted, and what is made ahead."""

from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from collection import partitions, retention, storage
from collection.deciding import HoldRule
from collection.models import (
    Alert,
    Attempt,
    HeldState,
    HeldWeek,
    KeyUsage,
    RejectedRow,
    Run,
    RunState,
    SchoolFetch,
    SchoolWeek,
    TimetableEntry,
)
from collection.normalising import normalise
from collection.planning import first_monday_at, window
from tests.collection import ledger
from tests.collection import rows as wire
from tests.collection.ledger import claimed, make_fetch, make_run, make_school
from tests.collection.rows import MONDAY, OFFICE, SCHOOL

pytestmark = pytest.mark.django_db

LATER = window(MONDAY + timedelta(weeks=1), 5)


@pytest.fixture(autouse=True)
def _settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RETENTION_WEEKS = 0
    settings.HISTORY_DAYS = 0
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0.0)


def store_week(monday: date = MONDAY) -> Run:
    school = make_school()
    claim = claimed(school, first_monday=monday)
    rows = [wire.high(ALL_TI_YMD=f"{monday:%Y%m%d}")]
    answer = normalise(
        wire.in_columns(rows), office_code=OFFICE, school_code=SCHOOL, mondays=[monday]
    )
    storage.store(claim, answer, service="hisTimetable", requests=1, rule=HoldRule())
    Run.objects.update(state=RunState.COMPLETED, finished_at=timezone.now())
    return Run.objects.get()


def hold(run: Run, **columns: Any) -> HeldWeek:
    fetch = run.fetches.get()
    row: dict[str, Any] = {"digest": b"", "payload": b"", "old_entries": 1, "new_entries": 0}
    assert fetch.school is not None
    return HeldWeek.objects.create(
        fetch=fetch, school=fetch.school, monday=MONDAY, held_at=timezone.now(), **row, **columns
    )


# Weeks


def test_week_goes_with_all_that_is_known_of_it_when_it_is_old() -> None:
    partitions.ensure(LATER)
    held = hold(store_week())

    assert MONDAY in retention.drop_weeks(before=MONDAY + timedelta(weeks=1))

    assert MONDAY not in partitions.existing()
    assert set(LATER) <= partitions.existing()
    assert TimetableEntry.objects.count() == SchoolWeek.objects.count() == 0
    held.refresh_from_db()
    assert held.state == HeldState.SUPERSEDED
    # What is collected again is stored again.
    partitions.ensure([MONDAY])
    make_fetch(make_school("2"), make_run())


def test_week_stays_when_an_open_run_may_write_to_it() -> None:
    partitions.ensure(LATER)
    store_week()
    Run.objects.update(state=RunState.PAUSED, finished_at=None)

    assert MONDAY not in retention.drop_weeks(before=MONDAY + timedelta(weeks=1))


def test_newest_weeks_stay_when_all_are_old() -> None:
    partitions.ensure(LATER)
    newest = sorted(partitions.existing())[-retention.NEWEST_KEPT :]

    retention.drop_weeks(before=date(2099, 1, 1))

    assert sorted(partitions.existing()) == newest


@pytest.mark.django_db(transaction=True)
def test_week_stays_and_nothing_changes_when_a_reader_does_not_let_go() -> None:
    partitions.ensure(LATER)
    store_week()
    began = timezone.now()

    def act(number: int) -> Any:
        with connection.cursor() as cursor:
            if number == 0:
                cursor.execute("BEGIN")
                cursor.execute("SELECT count(*) FROM collection_timetableentry")
                cursor.execute("SELECT pg_sleep(4)")
                cursor.execute("COMMIT")
                return None
            cursor.execute("SELECT pg_sleep(0.5)")
            with pytest.raises(OperationalError):
                partitions.drop(MONDAY)
            return timezone.now() - began

    _, waited = ledger.at_once(act, times=2)

    assert timedelta(seconds=2) < waited < timedelta(seconds=4)
    assert MONDAY in partitions.existing()
    assert SchoolWeek.objects.count() == TimetableEntry.objects.count() == 1
    assert MONDAY in retention.drop_weeks(before=MONDAY + timedelta(weeks=1))


# History


def test_history_goes_and_what_is_stored_stays_when_it_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    old = store_week()
    RejectedRow.objects.create(fetch=old.fetches.get(), reason="grade", row={})
    hold(old, state=HeldState.REJECTED)
    for number in range(5):
        make_fetch(make_school(f"o{number}"), old, state="failed")
    Run.objects.update(finished_at=timezone.now() - timedelta(days=400))
    retry = make_run(retry_of=old, state=RunState.COMPLETED, finished_at=timezone.now())
    kept = make_fetch(make_school("new"), retry, state="succeeded")
    long_ago = timezone.now() - timedelta(days=400)
    Alert.objects.create(kind="late", subject="old", opened_at=long_ago, closed_at=long_ago)
    Alert.objects.create(kind="late", subject="open", opened_at=long_ago, run=old)
    KeyUsage.objects.create(fingerprint="f", day=timezone.now() - timedelta(days=400))

    rows = retention.delete_history(before=timezone.now() - timedelta(days=365))

    assert {name.removeprefix("collection_"): count for name, count in rows.items() if count} == {
        "rejectedrow": 1,
        "heldweek": 1,
        "attempt": 1,
        "schoolfetch": 6,
        "run": 1,
        "keyusage": 1,
        "alert": 1,
    }
    assert list(Run.objects.values_list("pk", "retry_of")) == [(retry.pk, None)]
    assert list(SchoolFetch.objects.values_list("pk", flat=True)) == [kept.pk]
    assert SchoolWeek.objects.get().changed_by is None
    assert TimetableEntry.objects.count() == 1


def test_run_stays_when_one_of_its_held_weeks_still_waits() -> None:
    run = store_week()
    hold(run)
    Run.objects.update(finished_at=timezone.now() - timedelta(days=400))

    retention.delete_history(before=timezone.now())

    assert Run.objects.count() == HeldWeek.objects.count() == SchoolFetch.objects.count() == 1
    assert Attempt.objects.count() == 1


# Both, by the settings


@pytest.mark.parametrize(
    ("weeks", "days", "dropped"),
    [pytest.param(0, 0, False, id="keep all"), pytest.param(4, 30, True, id="keep four weeks")],
)
def test_old_things_go_or_stay_when_the_settings_say(
    settings: Settings, weeks: int, days: int, dropped: bool
) -> None:
    settings.RETENTION_WEEKS, settings.HISTORY_DAYS = weeks, days
    now = timezone.now()
    old = first_monday_at(now, offset=-5)
    store_week(old)
    Run.objects.update(finished_at=now - timedelta(days=31))
    out = StringIO()

    call_command("retention", stdout=out)

    assert (old not in partitions.existing()) is dropped
    assert Run.objects.exists() is not dropped
    assert set(window(first_monday_at(now, offset=0), 8)) <= partitions.existing()
    assert (str(old) in out.getvalue()) is dropped


def test_scheduler_does_it_every_night() -> None:
    task = PeriodicTask.objects.get(name="collection.retention")

    assert (task.task, task.queue, task.enabled) == ("collection.retention", "control", True)
    assert task.crontab is not None
    assert (task.crontab.hour, str(task.crontab.timezone)) == ("4", "Asia/Seoul")
