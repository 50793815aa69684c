"""The front page: each of its numbers, from a past that the test made."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule

from collection import switching
from collection.keys import fingerprints
from collection.models import (
    ApiKeyState,
    FetchState,
    Heartbeat,
    HeldWeek,
    Job,
    KeyUsage,
    Level,
    PumpState,
    Run,
    RunState,
    School,
    SchoolFetch,
    SchoolWeek,
    StopSwitch,
    UpstreamState,
)
from collection.planning import KOREA
from dashboard.overview.charts import read_charts
from dashboard.overview.health import read_health
from dashboard.overview.week import read_week
from dashboard.overview.work import read_work
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.dashboard.history import make_ended
from tests.dashboard.people import LOOK, log_in

pytestmark = pytest.mark.django_db

# A Wednesday: the week began on 8 June.
NOW = datetime(2026, 6, 10, 3, tzinfo=UTC)
MONDAY = date(2026, 6, 8)


@pytest.fixture(autouse=True)
def _english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    cache.clear()


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


def store_week(school: School, monday: date, entries: int, checked_at: datetime = NOW) -> None:
    SchoolWeek.objects.create(
        school=school, monday=monday, digest=b"", entries=entries, changed_at=checked_at,
        checked_at=checked_at,
    )  # fmt: skip


def hold_week(fetch: SchoolFetch, held_at: datetime, **columns: Any) -> HeldWeek:
    assert fetch.school is not None
    return HeldWeek.objects.create(
        **{
            "fetch": fetch, "school": fetch.school, "monday": MONDAY, "digest": b"",
            "old_entries": 100, "new_entries": 0, "payload": b"", "held_at": held_at,
            **columns,
        }
    )  # fmt: skip


# The week


def test_week_is_counted_against_the_open_schools_of_each_level() -> None:
    high = [make_school(str(number)) for number in range(3)]
    middle = make_school("7", level=Level.MIDDLE)
    closed = make_school("9", closed_at=NOW)
    sunday = datetime(2026, 6, 7, 14, 59, tzinfo=UTC)
    store_week(high[0], MONDAY, 300)
    store_week(high[1], MONDAY, 0, checked_at=sunday)
    store_week(high[0], MONDAY - timedelta(weeks=1), 290)
    store_week(middle, MONDAY - timedelta(weeks=1), 200)
    store_week(closed, MONDAY, 999)

    week = read_week(now=NOW)

    assert (week.monday, week.expected, week.stored, week.missing) == (MONDAY, 4, 2, 2)
    assert (week.checked, week.entries, week.entries_before) == (1, 300, 490)
    levels = {level.level: (level.stored, level.expected) for level in week.levels}
    assert levels == {Level.HIGH: (2, 3), Level.MIDDLE: (0, 1)}


@pytest.mark.parametrize(
    ("now", "monday"),
    [
        (datetime(2026, 6, 7, 14, 59, tzinfo=UTC), date(2026, 6, 1)),
        (datetime(2026, 6, 7, 15, 0, tzinfo=UTC), date(2026, 6, 8)),
    ],
    ids=["Sunday 23:59 in Korea", "Monday 00:00 in Korea"],
)
def test_week_changes_at_midnight_in_korea(now: datetime, monday: date) -> None:
    assert read_week(now=now).monday == monday


# The system


@pytest.mark.parametrize(
    ("scheduler", "watcher", "alive", "replaced"),
    [(10, None, True, False), (300, 5, False, True), (300, 300, False, False)],
    ids=["at work", "replaced by workers", "silent"],
)
def test_scheduler_is_told_by_its_heartbeat(
    scheduler: int, watcher: int | None, alive: bool, replaced: bool
) -> None:
    now = timezone.now()
    for name, seconds in (("scheduler", scheduler), ("watcher", watcher)):
        if seconds is not None:
            Heartbeat.objects.create(name=name, seen_at=now - timedelta(seconds=seconds))

    found = read_health(now=now).scheduler

    assert (found.is_alive, found.is_replaced) == (alive, replaced)


def test_workers_are_those_that_ended_or_claimed_something_lately() -> None:
    run = make_run()
    make_ended(make_school("1"), run, worker="one")
    make_ended(make_school("2"), run, worker="one", attempts=2)
    make_ended(make_school("3"), run, worker="gone", ended_at=ago(minutes=16))
    make_fetch(make_school("4"), run, state="running", worker="two", claimed_at=ago(minutes=1))

    workers = read_health(now=timezone.now()).workers

    assert [(w.name, w.running, w.ended) for w in workers] == [("one", 0, 3), ("two", 1, 0)]


def test_latency_is_that_of_one_request_and_errors_are_a_share_of_attempts() -> None:
    run = make_run()
    for number, seconds in enumerate((1.0, 2.0, 3.0, 4.0), start=1):
        make_ended(make_school(str(number)), run, seconds=seconds, requests=2)
    make_ended(make_school("5"), run, FetchState.FAILED, seconds=5.0, requests=2)
    make_ended(make_school("6"), run, ended_at=ago(minutes=20), seconds=60, requests=1)

    answers = read_health(now=timezone.now()).answers

    assert (answers.attempts, answers.unwell, answers.requests) == (5, 1, 10)
    assert answers.error_share == pytest.approx(0.2)
    assert answers.median == pytest.approx(1.5)
    assert answers.slow == pytest.approx(2.4)


def test_page_tells_that_neis_is_down_and_what_is_left_of_the_keys(
    client: Client, settings: Any
) -> None:
    log_in(client, *LOOK)
    settings.NEIS_API_KEYS = ("one", "two")
    settings.NEIS_DAILY_CALLS = 10_000
    first, second = fingerprints(settings.NEIS_API_KEYS, secret=settings.SECRET_KEY)
    today = timezone.localdate()
    KeyUsage.objects.create(fingerprint=first, day=today, calls=1234)
    KeyUsage.objects.create(fingerprint=first, day=today - timedelta(days=1), calls=9999)
    ApiKeyState.objects.create(fingerprint=second, refused_at=timezone.now())
    UpstreamState.objects.create(
        state="open", down_since=ago(minutes=7.5), probe_at=ago(minutes=-3.5), reason="timed_out"
    )

    text = text_of(client.get("/admin/overview/"))

    assert "NEIS is down since 7 min ago · No answer in time · next try in 3 min" in text
    assert "API key 1 key usable 1,234 of 10,000 calls today" in text
    assert "API key 2 key_off refused by NEIS" in text


def test_page_tells_that_nothing_moves_and_that_the_broker_is_in_trouble(client: Client) -> None:
    log_in(client, *LOOK)
    make_fetch(make_school(), make_run())
    Run.objects.update(created_at=ago(hours=1))
    PumpState.objects.create(
        idle_at=ago(minutes=30), queued=7, trouble="OperationalError", trouble_since=ago(minutes=5)
    )

    text = text_of(client.get("/admin/overview/"))

    assert "Work is due and nothing has moved since 30 min ago" in text
    assert "The broker is in trouble since 5 min ago : OperationalError" in text
    assert "7 messages wait for a worker" in text


@pytest.mark.parametrize("may", [True, False])
def test_switch_that_stops_everything_is_offered_to_who_may_use_it(
    client: Client, may: bool
) -> None:
    log_in(client, *LOOK, *(["operate_stopswitch"] if may else []))
    assert ("Stop all collecting" in text_of(client.get("/admin/overview/"))) is may

    StopSwitch.objects.create(stopped_at=timezone.now())

    text = text_of(client.get("/admin/overview/"))
    assert "All collecting is stopped since" in text
    assert ("Let collecting go on" in text) is may


# The work


def test_open_failures_are_those_that_nobody_retried_and_nothing_mended() -> None:
    run = make_run(state=RunState.INCOMPLETE)
    open_one = make_ended(make_school("1"), run, FetchState.FAILED)
    mended = make_ended(make_school("2"), run, FetchState.FAILED)
    failed_again = make_ended(make_school("3"), run, FetchState.FAILED)
    retried = make_ended(make_school("4"), run, FetchState.FAILED)
    make_ended(make_school("5"), run, FetchState.FAILED, ended_at=ago(days=8))
    make_ended(make_school("6"), run, FetchState.FAILED, error="bug")
    later = make_run()
    make_ended(mended.school, later)  # type: ignore[arg-type]
    make_ended(failed_again.school, later, FetchState.FAILED, ended_at=ago(days=9))  # type: ignore[arg-type]
    SchoolFetch.objects.filter(pk=retried.pk).update(retried_by=open_one)

    work = read_work(now=timezone.now())

    assert [(f.error_class, f.schools) for f in work.failures] == [("timed_out", 2), ("bug", 1)]


def test_late_is_a_run_past_its_time_and_a_job_that_was_not_started() -> None:
    slow = Job.objects.create(name="Slow", alert_after_minutes=60)
    overdue = make_run(job=slow, due_at=ago(minutes=61))
    make_run(job=slow, due_at=ago(minutes=59))
    make_run(job=slow, due_at=ago(minutes=99), state=RunState.COMPLETED)
    now = timezone.now()
    for name, settled in (("Stuck", now - timedelta(hours=2)), ("On time", now)):
        job = Job.objects.create(name=name)
        every_hour = CrontabSchedule(minute=str((now - timedelta(minutes=30)).minute))
        switching.set_schedule(job, every_hour, enabled=True, now=settled)

    late = read_work(now=now).late

    assert [(item.job.name, item.run) for item in late] == [("Slow", overdue), ("Stuck", None)]
    assert late[0].since == overdue.due_at + timedelta(minutes=60)  # type: ignore[operator]
    assert timedelta(minutes=29) < now - late[1].since < timedelta(minutes=31)


def test_due_next_are_the_jobs_that_are_on_the_nearest_first() -> None:
    now = datetime(2026, 6, 10, 3, tzinfo=UTC)
    for name, hour, enabled in (("Late", 20, True), ("Soon", 13, True), ("Off", 14, False)):
        job = Job.objects.create(name=name)
        daily = CrontabSchedule(minute="0", hour=str(hour), timezone=KOREA)
        switching.set_schedule(job, daily, enabled=enabled, now=now)

    due = read_work(now=now).due

    names = [(item.job.name, item.at.astimezone(KOREA).hour) for item in due]
    assert [item for item in names if item[0] in ("Late", "Soon", "Off")] == [
        ("Soon", 13), ("Late", 20),
    ]  # fmt: skip


def test_held_weeks_that_wait_are_counted_with_the_oldest() -> None:
    run = make_run()
    oldest = ago(days=3)
    for number, held_at in enumerate((ago(hours=1), oldest)):
        hold_week(make_ended(make_school(str(number)), run, FetchState.HELD), held_at)
    decided = make_ended(make_school("9"), run, FetchState.HELD)
    hold_week(decided, ago(days=9), state="accepted")

    held = read_work(now=timezone.now()).held

    assert (held.weeks, held.since) == (2, oldest)


# Charts


def test_charts_show_what_the_last_runs_did() -> None:
    ended = timezone.now()
    runs = [
        make_run(state=RunState.COMPLETED, finished_at=ended + timedelta(minutes=minutes))
        for minutes in (10, 20)
    ]
    first, second = make_school("1"), make_school("2")
    make_ended(first, runs[0], received=50, stored=50)
    make_ended(second, runs[0], FetchState.FAILED)
    make_ended(first, runs[1], received=50, stored=20, unchanged=30)
    make_ended(second, runs[1], FetchState.EMPTY)
    make_ended(first, make_run())

    schools, entries, minutes, unwell, _errors = read_charts(now=ended)

    assert schools.labels == [f"#{run.pk}" for run in runs]
    assert [list(series.values) for series in schools.series] == [[1, 1], [0, 1], [0, 0], [1, 0]]
    assert [list(series.values) for series in entries.series] == [[50, 20], [0, 30]]
    assert [list(series.values) for series in minutes.series] == [[10, 20]]
    assert [list(series.values) for series in unwell.series] == [[0, 0], [1, 0]]
    assert schools.rows[0] == (f"#{runs[0].pk}", [1, 0, 0, 1])


def test_errors_are_counted_by_class_on_korean_days() -> None:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    run = make_run()
    before, after = midnight - timedelta(seconds=1), midnight + timedelta(seconds=1)
    make_ended(make_school("1"), run, FetchState.FAILED, ended_at=before)
    make_ended(make_school("2"), run, FetchState.FAILED, ended_at=after, attempts=2)
    make_ended(make_school("3"), run, FetchState.FAILED, ended_at=after, error="bug")
    make_ended(make_school("4"), run, FetchState.FAILED, ended_at=midnight - timedelta(days=28))

    errors = read_charts(now=timezone.now())[-1]

    assert [(series.label, list(series.values)[-2:]) for series in errors.series] == [
        ("No answer in time", [1, 2]),
        ("Fault in the program", [0, 1]),
    ]
    assert sum(sum(series.values) for series in errors.series) == 4


# The page


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_fresh_console_says_how_to_begin(client: Client) -> None:
    log_in(client, *LOOK, "add_job")
    Job.objects.all().delete()

    text = text_of(client.get("/admin/"))

    assert "How to begin" in text
    assert "Create a collection job" in text
    assert "No school is known yet." in text


def test_page_tells_what_is_missing_what_runs_and_what_needs_somebody(client: Client) -> None:
    log_in(client, *LOOK)
    run = make_run()
    make_ended(make_school("1"), run, FetchState.FAILED)
    hold_week(make_ended(make_school("2"), run, FetchState.HELD), ago(hours=1))
    make_fetch(make_school("3"), run)
    store_week(School.objects.get(code="1"), read_week(now=timezone.now()).monday, 300)

    text = text_of(client.get("/admin/"))

    assert "33.3 %" in text
    assert "2 schools are missing" in text
    assert f"#{run.pk} Timetables play_arrow Running" in text
    assert "Held 1 · Failed 1 · Waiting 1" in text
    assert "No answer in time: 1 school" in text
    assert "1 week waits for a decision" in text
    assert "The scheduler has never run" in text


def test_page_says_that_the_week_is_in_when_no_school_is_missing(client: Client) -> None:
    log_in(client, *LOOK)
    store_week(make_school(), read_week(now=timezone.now()).monday, 0)

    assert "The week is in" in text_of(client.get("/admin/"))


def test_page_and_fragment_ask_the_same_number_of_queries_whatever_there_is(
    client: Client,
) -> None:
    log_in(client, *LOOK)
    job = Job.objects.create(name="Every week")
    make_ended(make_school(), make_run(job=job, state=RunState.COMPLETED))
    make_ended(make_school("1"), make_run(job=job))

    def queries() -> list[int]:
        counts = []
        for path in ("/admin/", "/admin/overview/"):
            cache.clear()
            with CaptureQueriesContext(connection) as captured:
                assert client.get(path).status_code == 200
            counts.append(len(captured))
        return counts

    few = queries()
    now = timezone.now()
    for number in range(10):
        school = make_school(f"more {number}")
        make_ended(school, make_run(job=job), FetchState.FAILED, attempts=2)
        make_ended(school, make_run(state=RunState.COMPLETED, finished_at=now))
        other = Job.objects.create(name=f"Job {number}")
        switching.set_schedule(other, CrontabSchedule(minute=str(number)), enabled=True, now=now)

    assert queries() == few
    assert Run.objects.count() == 22


def test_overview_is_for_those_who_may_look(client: Client) -> None:
    assert client.get("/admin/").status_code == 302
    log_in(client, "view_school")
    assert client.get("/admin/").status_code == 403
    assert client.get("/admin/overview/").status_code == 403
