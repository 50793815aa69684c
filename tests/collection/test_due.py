"""Each due time starts one run at most, and nothing else starts one."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from pytest_django import DjangoAssertNumQueries, Settings

from collection import due, runs, starting, switching
from collection.models import (
    Job,
    Level,
    MissedPolicy,
    OverlapPolicy,
    PauseReason,
    Run,
    RunState,
    SkipReason,
    Trigger,
)
from collection.planning import KOREA
from tests.collection import ledger
from tests.collection.jobs import daily, every, make_job
from tests.collection.ledger import make_fetch, make_school

pytestmark = pytest.mark.django_db

# A Friday, four hours before the daily jobs of these tests are due.
MIDNIGHT = datetime(2026, 6, 12, tzinfo=KOREA)
DUE = MIDNIGHT + timedelta(hours=4)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

Noted = list[tuple[datetime | None, str, str]]


@pytest.fixture(autouse=True)
def _school_and_key(settings: Settings, db: None) -> None:
    settings.NEIS_API_KEYS = ("key",)
    Job.objects.all().delete()
    make_school()


def noted(job: Job) -> Noted:
    """Due time, trigger and state or reason of the job's runs."""
    rows = Run.objects.filter(job=job).order_by("due_at", "id")
    return [(run.due_at, run.trigger, run.skip_reason or run.state) for run in rows]


def finish_all() -> None:
    Run.objects.filter(state=RunState.RUNNING).update(state=RunState.COMPLETED)


def test_run_starts_once_when_its_time_has_come() -> None:
    job = make_job(now=MIDNIGHT, levels=[Level.HIGH], priority=8, most_at_once=3)

    assert due.settle(now=DUE - SECOND) == []
    (run,) = due.settle(now=DUE + SECOND)
    assert due.settle(now=DUE + SECOND) == []
    assert due.settle(now=DUE + 5 * HOUR) == []

    assert noted(job) == [(DUE, Trigger.SCHEDULE, RunState.RUNNING)]
    assert (run.levels, run.priority, run.most_at_once) == (["high"], 8, 3)
    assert run.first_monday.isoformat() == "2026-06-01"
    assert run.fetches.count() == 1


def test_job_is_left_alone_when_another_one_is_asked_for() -> None:
    job, other = make_job(now=MIDNIGHT), make_job(now=MIDNIGHT)

    due.settle(now=DUE, jobs=[job.pk])

    assert len(noted(job)) == 1
    assert noted(other) == []


def test_one_query_is_enough_when_nothing_is_due(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(5):
        make_job(now=MIDNIGHT)
    make_job(now=MIDNIGHT, enabled=False)

    with django_assert_num_queries(1):
        due.settle(now=DUE - SECOND)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(3))
def test_one_run_starts_when_several_look_at_once(number: int) -> None:
    job = make_job(now=MIDNIGHT)

    started = ledger.at_once(lambda _: due.settle(now=DUE), times=6)

    assert sum(len(each) for each in started) == 1
    assert noted(job) == [(DUE, Trigger.SCHEDULE, RunState.RUNNING)]


@pytest.mark.django_db(transaction=True)
def test_other_jobs_start_at_once_when_the_row_of_one_is_locked() -> None:
    locked, job = make_job(now=MIDNIGHT), make_job(now=MIDNIGHT)

    def settle(_: int) -> list[Run]:
        return due.settle(now=DUE)

    with transaction.atomic():
        Job.objects.select_for_update().get(pk=locked.pk)
        (started,) = ledger.at_once(settle, times=1)

    assert [run.job_id for run in started] == [job.pk]
    assert [run.job_id for run in due.settle(now=DUE)] == [locked.pk]


# What was missed


@pytest.mark.parametrize(
    ("policy", "within", "late", "expected"),
    [
        (MissedPolicy.RUN_ONCE, 24, 30 * SECOND, (Trigger.SCHEDULE, RunState.RUNNING)),
        (MissedPolicy.SKIP, 1, 30 * SECOND, (Trigger.SCHEDULE, RunState.RUNNING)),
        (MissedPolicy.RUN_ONCE, 24, 7 * HOUR, (Trigger.CATCH_UP, RunState.RUNNING)),
        (MissedPolicy.RUN_ONCE, 7, 7 * HOUR, (Trigger.CATCH_UP, RunState.RUNNING)),
        (MissedPolicy.RUN_ONCE, 6, 7 * HOUR, (Trigger.SCHEDULE, SkipReason.MISSED)),
        (MissedPolicy.SKIP, 24, 7 * HOUR, (Trigger.SCHEDULE, SkipReason.MISSED)),
    ],
    ids=str,
)
def test_due_time_is_kept_or_noted_as_missed_when(
    policy: MissedPolicy, within: int, late: timedelta, expected: tuple[str, str]
) -> None:
    job = make_job(now=MIDNIGHT, missed=policy, missed_within_hours=within)

    due.settle(now=DUE + late)
    due.settle(now=DUE + late + SECOND)

    assert noted(job) == [(DUE, *expected)]


def test_the_latest_runs_late_and_the_others_are_noted_when_several_were_missed() -> None:
    job = make_job(now=MIDNIGHT)

    due.settle(now=DUE + 2 * DAY + HOUR)

    assert noted(job) == [
        (DUE, Trigger.SCHEDULE, SkipReason.MISSED),
        (DUE + DAY, Trigger.SCHEDULE, SkipReason.MISSED),
        (DUE + 2 * DAY, Trigger.CATCH_UP, RunState.RUNNING),
    ]
    assert due.next_times(job, now=DUE + 2 * DAY + HOUR) == [DUE + 3 * DAY]


def test_a_handful_is_noted_when_a_frequent_job_was_away_for_long() -> None:
    job = make_job(every(1, "minutes"), now=MIDNIGHT, missed=MissedPolicy.SKIP)

    due.settle(now=MIDNIGHT + 9 * DAY + 2 * SECOND)

    assert noted(job) == [
        (MIDNIGHT + 9 * DAY - minute * 60 * SECOND, Trigger.SCHEDULE, what)
        for minute, what in [
            *((minute, SkipReason.MISSED) for minute in (4, 3, 2, 1)),
            (0, RunState.RUNNING),
        ]
    ]


def test_the_weeks_are_those_the_due_time_meant_when_it_is_kept_in_the_next_week() -> None:
    sunday = datetime(2026, 6, 14, 23, tzinfo=KOREA)
    make_job(daily(23), now=sunday - HOUR, window_offset=0)

    (run,) = due.settle(now=sunday + 5 * HOUR)

    assert run.trigger == Trigger.CATCH_UP
    assert run.first_monday.isoformat() == "2026-06-08"


# What must not start anything


def by_console(on: bool, now: datetime) -> None:
    switching.switch(Job.objects.all(), on=on, now=now)


def by_bulk_update(on: bool, now: datetime) -> None:
    PeriodicTask.objects.filter(job__isnull=False).update(enabled=on)


def by_sql(on: bool, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_periodictask SET enabled = %s", [on])


def by_form(on: bool, now: datetime) -> None:
    for task in PeriodicTask.objects.filter(job__isnull=False):
        task.enabled = on
        task.save()


@pytest.mark.parametrize("switch", [by_console, by_bulk_update, by_sql, by_form])
def test_nothing_starts_for_what_was_due_while_a_job_was_off_when_it_is_switched(
    switch: Any,
) -> None:
    job = make_job(now=MIDNIGHT)
    switch(False, DUE - HOUR)
    due.settle(now=DUE - HOUR)

    due.settle(now=DUE)
    due.settle(now=DUE + HOUR)
    switch(True, DUE + HOUR)
    due.settle(now=DUE + HOUR + SECOND)
    due.settle(now=DUE + 2 * HOUR)

    assert noted(job) == []
    assert [run.due_at for run in due.settle(now=DUE + DAY)] == [DUE + DAY]


def test_nothing_starts_when_a_job_is_switched_off_and_on_between_two_looks() -> None:
    job = make_job(now=MIDNIGHT)
    by_console(False, DUE - SECOND)
    by_console(True, DUE + SECOND)

    assert due.settle(now=DUE + 2 * SECOND) == []
    assert noted(job) == []


def test_nothing_starts_when_a_job_was_on_already_and_everything_was_down() -> None:
    """Switching on what is on is no change: the missed due time is still made up for."""
    job = make_job(now=MIDNIGHT)

    assert switching.switch(Job.objects.all(), on=True, now=DUE + HOUR) == 0

    due.settle(now=DUE + 2 * HOUR)
    assert noted(job) == [(DUE, Trigger.CATCH_UP, RunState.RUNNING)]


@pytest.mark.parametrize("hour", [0, 2, 3], ids=lambda hour: f"to {hour}:30")
@pytest.mark.parametrize("how", ["console", "row"])
def test_nothing_starts_when_the_hour_is_moved_to_one_that_passed_today(
    hour: int, how: str
) -> None:
    job = make_job(now=MIDNIGHT - DAY)
    due.settle(now=DUE - DAY)
    finish_all()
    edited_at = DUE - SECOND
    if how == "console":
        switching.set_schedule(job, daily(hour, 30), enabled=True, now=edited_at)
    else:
        CrontabSchedule.objects.filter(pk=job.periodic_task.crontab_id).update(
            hour=str(hour), minute="30"
        )

    assert due.settle(now=edited_at) == []
    assert due.settle(now=DUE + HOUR) == []
    next_due = MIDNIGHT + DAY + hour * HOUR + HOUR / 2
    job.refresh_from_db()
    assert due.next_times(Job.objects.get(pk=job.pk), now=DUE + HOUR) == [next_due]
    assert [run.due_at for run in due.settle(now=next_due)] == [next_due]


def test_missed_time_is_still_made_up_for_when_another_field_of_the_job_is_saved() -> None:
    job = make_job(now=MIDNIGHT)

    switching.set_schedule(job, daily(4), enabled=True, now=DUE + HOUR)
    due.settle(now=DUE + HOUR)

    assert noted(job) == [(DUE, Trigger.CATCH_UP, RunState.RUNNING)]


def test_nothing_starts_when_the_periodic_task_is_one_that_no_job_can_have() -> None:
    job, other = make_job(now=MIDNIGHT), make_job(now=MIDNIGHT)
    PeriodicTask.objects.filter(job=job).update(one_off=True)

    due.settle(now=DUE - HOUR)
    due.settle(now=DUE)

    assert noted(job) == []
    assert due.next_times(Job.objects.get(pk=job.pk), now=DUE) == []
    assert len(noted(other)) == 1


def test_other_jobs_start_when_the_schedule_of_one_can_not_be_read() -> None:
    job, other = make_job(now=MIDNIGHT), make_job(daily(4, 0, weekday="5"), now=MIDNIGHT)
    CrontabSchedule.objects.filter(pk=job.periodic_task.crontab_id).update(hour="nonsense")

    due.settle(now=DUE - HOUR)
    due.settle(now=DUE)

    assert noted(job) == []
    assert len(noted(other)) == 1


def test_job_starts_by_hand_alone_when_its_schedule_is_removed() -> None:
    job = make_job(now=MIDNIGHT)

    switching.remove_schedule(job)
    due.settle(now=DUE)

    assert noted(job) == []
    assert not PeriodicTask.objects.filter(name=f"collection.job.{job.pk}").exists()


# When nothing can be done


def test_due_time_is_noted_when_there_is_no_key(settings: Settings) -> None:
    settings.NEIS_API_KEYS = ()
    job = make_job(now=MIDNIGHT)

    assert due.settle(now=DUE) == []

    assert noted(job) == [(DUE, Trigger.SCHEDULE, SkipReason.NO_KEY)]


def test_due_time_is_noted_when_no_school_matches() -> None:
    job = make_job(now=MIDNIGHT, levels=[Level.SPECIAL])

    assert due.settle(now=DUE) == []

    assert noted(job) == [(DUE, Trigger.SCHEDULE, SkipReason.NO_SCHOOLS)]
    assert Run.objects.get().state == RunState.SKIPPED


# An earlier run is still open


def states(job: Job) -> list[tuple[str, str]]:
    rows = Run.objects.filter(job=job).order_by("id")
    return [(run.state, run.pause_reason or run.skip_reason) for run in rows]


def test_new_run_is_skipped_when_the_job_says_so() -> None:
    job = make_job(now=MIDNIGHT, overlap=OverlapPolicy.SKIP)

    due.settle(now=DUE)
    due.settle(now=DUE + DAY)

    assert states(job) == [("running", ""), ("skipped", "overlap")]
    with pytest.raises(starting.AlreadyOpen) as refused:
        starting.run_now(job, now=DUE + DAY, started_by=None)
    assert refused.value.run.due_at == DUE
    assert str(refused.value.run.pk) in str(refused.value)


def test_new_run_waits_for_its_turn_and_one_at_most_when_the_job_says_so() -> None:
    job = make_job(now=MIDNIGHT, overlap=OverlapPolicy.WAIT)

    for day in range(3):
        due.settle(now=DUE + day * DAY)
    assert states(job) == [("running", ""), ("paused", "overlap"), ("skipped", "overlap")]
    assert runs.resume_due() == 0
    finish_all()
    assert runs.resume_due() == 1

    assert states(job)[1] == ("running", "")


def test_open_run_is_cancelled_when_the_job_says_so() -> None:
    job = make_job(now=MIDNIGHT, overlap=OverlapPolicy.CANCEL)

    due.settle(now=DUE)
    due.settle(now=DUE + DAY)

    assert states(job) == [("cancelled", ""), ("running", "")]
    assert set(Run.objects.earliest("id").fetches.values_list("state")) == {("cancelled",)}


def test_open_run_goes_on_when_the_one_in_its_place_has_no_school() -> None:
    job = make_job(now=MIDNIGHT, overlap=OverlapPolicy.CANCEL)
    due.settle(now=DUE)
    Job.objects.filter(pk=job.pk).update(levels=[Level.SPECIAL])

    due.settle(now=DUE + DAY)

    assert states(job) == [("running", ""), ("skipped", "no_schools")]


def test_retry_of_single_schools_stands_in_nobodys_way_when_it_is_open() -> None:
    job = make_job(now=MIDNIGHT)
    (run,) = due.settle(now=DUE)
    run.fetches.update(state="failed")
    runs.finish_due()
    starting.retry(run.fetches.all(), now=DUE, started_by=None)

    due.settle(now=DUE + DAY)

    assert states(job) == [("incomplete", ""), ("running", ""), ("running", "")]


@pytest.mark.django_db(transaction=True)
def test_one_run_is_open_when_many_start_it_by_hand_at_once() -> None:
    job = make_job(now=MIDNIGHT)

    def start(_: int) -> int | None:
        try:
            return starting.run_now(job, now=MIDNIGHT, started_by=None).pk
        except starting.AlreadyOpen:
            return None

    started = [pk for pk in ledger.at_once(start, times=6) if pk]

    assert started == list(Run.objects.values_list("pk", flat=True))
    assert len(started) == 1


def test_run_has_a_window_of_its_own_when_started_by_hand_with_one(
    admin_user: Any,
) -> None:
    job = make_job(now=MIDNIGHT)
    monday = datetime(2026, 3, 2, tzinfo=UTC).date()

    run = starting.run_now(job, now=MIDNIGHT, started_by=admin_user, first_monday=monday, weeks=1)

    assert (run.first_monday, run.weeks, run.trigger) == (monday, 1, Trigger.MANUAL)
    assert (run.started_by, run.due_at) == (admin_user, None)


# Three weeks


def test_times_shown_are_the_times_kept_when_three_weeks_pass() -> None:
    begin = datetime(2026, 3, 16, tzinfo=UTC)
    jobs = [
        make_job(daily(0, 0), now=begin),
        make_job(daily(4, 0, weekday="1"), now=begin),
        make_job(daily(2, 30, zone=ZoneInfo("Europe/Berlin")), now=begin),
        make_job(every(7, "hours"), now=begin),
    ]
    end = begin + timedelta(weeks=3)
    shown = {
        job.pk: [t for t in due.next_times(job, now=begin, count=99) if t <= end] for job in jobs
    }

    now, step = begin, timedelta(hours=1, minutes=53, seconds=7)
    while now < end:
        now = min(now + step, end)
        due.settle(now=now)
        finish_all()

    kept = {job.pk: [due_at for due_at, *_ in noted(job)] for job in jobs}
    assert kept == shown
    assert [len(times) for times in kept.values()] == [21, 3, 21, 72]
    assert not Run.objects.filter(state=RunState.SKIPPED).exists()


def test_pause_of_a_waiting_run_is_its_own_when_an_operator_paused_it() -> None:
    job = make_job(now=MIDNIGHT, overlap=OverlapPolicy.WAIT)
    run = starting.run_now(job, now=MIDNIGHT, started_by=None)
    make_fetch(make_school("2"), run)
    runs.pause(run.pk, reason=PauseReason.OPERATOR)

    waiting = starting.run_now(job, now=timezone.now(), started_by=None)

    assert waiting.pause_reason == PauseReason.OVERLAP
    assert runs.resume_due() == 0
