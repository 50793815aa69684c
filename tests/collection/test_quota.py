"""Calls of the keys, counted by the Korean day, and what a run would need of them."""

from datetime import date, timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from collection import estimating, quota
from collection.estimating import Expected, Past
from collection.keys import BLOCK, StoredKeys
from collection.models import ApiKeyState, KeyUsage, Level, Run, RunState, School, SchoolWeek
from collection.neis import Key, KeySpent
from collection.planning import KOREA
from collection.quota import KeyState
from collection.starting import Plan
from tests.collection import ledger
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.collection.rows import MONDAY

pytestmark = pytest.mark.django_db

KEYS = ("first-key", "second-key")


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.NEIS_API_KEYS = KEYS
    settings.NEIS_DAILY_CALLS = 120
    settings.NEIS_REQUESTS_PER_SECOND = 10.0


def ring(*, daily_calls: int = 0) -> StoredKeys:
    return StoredKeys(KEYS, secret=django_settings.SECRET_KEY, daily_calls=daily_calls)


def current(keys: StoredKeys) -> Key:
    key = keys.current()
    assert key is not None
    return key


def calls() -> list[int]:
    return list(KeyUsage.objects.order_by("id").values_list("calls", flat=True))


def spend(keys: StoredKeys, *, most: int = 1000) -> int:
    """Calls until the keys are spent."""
    made = 0
    try:
        while made < most:
            key = current(keys)
            try:
                keys.count(key)
            except KeySpent as problem:
                keys.set_aside(key, problem)
            else:
                made += 1
    except KeySpent:
        pass
    return made


def test_most_calls_cost_no_statement_when_they_are_counted() -> None:
    keys = ring()
    key = current(keys)
    keys.count(key)

    with CaptureQueriesContext(connection) as queries:
        for _ in range(BLOCK - 1):
            keys.count(key)

    assert len(queries) == 0
    assert calls() == [BLOCK]
    keys.count(key)
    assert calls() == [2 * BLOCK]


def test_calls_end_at_the_limit_of_each_key_when_there_is_one() -> None:
    assert spend(ring(daily_calls=120)) == 240

    assert calls() == [120, 120]
    assert [use.state for use in quota.use_of_keys()] == [KeyState.SPENT, KeyState.SPENT]
    assert ApiKeyState.objects.filter(spent_until__gt=timezone.now()).count() == 2


@pytest.mark.django_db(transaction=True)
def test_limit_holds_over_all_processes_when_they_count_at_once() -> None:
    rings = [ring(daily_calls=120) for _ in range(4)]

    made = ledger.at_once(lambda number: spend(rings[number]), times=4)

    # What the others hold in their last blocks may be left over.
    assert 200 <= sum(made) <= 240
    assert calls() == [120, 120]


def test_a_new_day_begins_with_no_calls_when_midnight_in_korea_has_passed() -> None:
    keys = ring(daily_calls=120)
    for _ in range(30):
        keys.count(current(keys))
    KeyUsage.objects.update(day=date(2026, 1, 1))
    for block in keys._blocks.values():
        block.until = 0.0

    assert spend(keys, most=120) == 120


@pytest.mark.parametrize(
    ("limit", "left"), [pytest.param(120, 70, id="known"), pytest.param(0, None, id="unknown")]
)
def test_use_of_each_key_is_told_when_the_limit_is(
    settings: Settings, limit: int, left: int | None
) -> None:
    settings.NEIS_DAILY_CALLS = limit
    keys = ring(daily_calls=limit)
    keys.count(current(keys))
    size = calls()[0]

    first, second = quota.use_of_keys()

    assert (first.label, second.label) == ("key 1", "key 2")
    assert (first.used, second.used) == (size, 0)
    assert first.left == (None if left is None else 120 - size)
    midnight = first.resets_at.astimezone(KOREA)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert timedelta(0) < first.resets_at - timezone.now() <= timedelta(days=1)


def test_no_key_is_anywhere_when_its_use_is_stored() -> None:
    spend(ring(daily_calls=60))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k::text FROM collection_keyusage k UNION SELECT s::text FROM collection_apikeystate s"
        )
        stored = " ".join(row for (row,) in cursor.fetchall())
    assert not any(key in stored for key in KEYS)


# What a run would need


@pytest.mark.parametrize(
    ("school", "weeks", "needed"),
    [
        pytest.param(Expected(0, 1), 3, 1, id="no rows"),
        pytest.param(Expected(0, 4), 3, 4, id="no rows, four services to ask"),
        pytest.param(Expected(1, 4), 3, 1, id="a row"),
        pytest.param(Expected(300, 1), 3, 1, id="a page"),
        pytest.param(Expected(322, 1), 3, 1, id="a full page with what is sent twice"),
        pytest.param(Expected(323, 1), 3, 2, id="a little more"),
        pytest.param(Expected(1600, 1), 3, 5, id="a large school"),
    ],
)
def test_requests_of_a_school_when_it_has(school: Expected, weeks: int, needed: int) -> None:
    assert estimating.requests([school], weeks=weeks) == needed


@pytest.mark.parametrize(
    ("rate", "past", "seconds"),
    [
        pytest.param(10, [], 30, id="the limit alone"),
        pytest.param(0, [], None, id="nothing known"),
        pytest.param(0, [Past(100, 50), Past(900, 100), Past(10, 100)], 200, id="the past alone"),
        pytest.param(10, [Past(100, 50)], 200, id="the past is longer"),
        pytest.param(10, [Past(1, 50)], 30, id="the limit is longer"),
    ],
)
def test_seconds_when(rate: float, past: list[Past], seconds: float | None) -> None:
    told = estimating.seconds(requests=300, schools=100, requests_per_second=rate, past=past)
    assert told == seconds


def make_weeks(school: School, *entries: int) -> None:
    for number, count in enumerate(entries):
        SchoolWeek.objects.create(
            school=school,
            monday=MONDAY - timedelta(weeks=number),
            digest=b"",
            entries=count,
            changed_at=timezone.now(),
            checked_at=timezone.now(),
        )


def test_estimate_goes_by_the_fullest_of_the_last_weeks_when_schools_have_some() -> None:
    make_weeks(make_school("1"), 0, 500, 300)
    make_weeks(make_school("2", services=["misTimetable", "elsTimetable"]), 0, 0)
    make_weeks(make_school("3", level=Level.MIDDLE), 5000)
    make_school("4", closed_at=timezone.now())
    began = timezone.now() - timedelta(hours=1)
    run = make_run(
        weeks=3,
        levels=["high"],
        state=RunState.COMPLETED,
        finished_at=began + timedelta(seconds=50),
    )
    Run.objects.update(created_at=began)
    for code in ("5", "6"):
        make_fetch(make_school(code, closed_at=began), run, attempt=1)

    told = quota.estimate(Plan(first_monday=MONDAY, weeks=3, levels=["high"]))

    assert (told.schools, told.requests, told.seconds) == (2, 2 + 2, 50)
    assert told.fits


def test_run_does_not_fit_when_it_needs_more_calls_than_are_left() -> None:
    for number in range(3):
        make_weeks(make_school(str(number)), 33_000)
    plan = Plan(first_monday=MONDAY, weeks=3)

    assert quota.estimate(plan).requests == 3 * 103
    assert not quota.estimate(plan).fits


def test_queries_are_as_many_when_there_are_more_schools(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(30):
        make_weeks(make_school(str(number)), 300)

    with django_assert_num_queries(7):
        quota.estimate(Plan(first_monday=MONDAY, weeks=3))
