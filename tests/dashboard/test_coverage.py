"""The coverage map: every number is what is stored, and a missing school is never green."""

from collections import Counter
from datetime import date, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from collection import coverage
from collection.models import (
    Coverage,
    CoverageCell,
    FetchState,
    HeldState,
    HeldWeek,
    Level,
    Run,
    RunState,
    School,
    SchoolFetch,
    SchoolListSync,
    SchoolWeek,
)
from collection.planning import KOREA
from dashboard.coverage.cells import shade
from dashboard.coverage.reads import Tally, read_freshness
from dashboard.coverage.reasons import Reason, reason_of
from dashboard.coverage.schools import Choice, read_week
from tests.collection.ledger import make_fetch, make_run, make_school
from tests.collection.rows import MONDAY
from tests.dashboard.people import log_in

pytestmark = pytest.mark.django_db
TODAY = MONDAY + timedelta(days=9)


def store(school: School, *, entries: int, monday: date = MONDAY) -> SchoolWeek:
    now = timezone.now()
    return SchoolWeek.objects.create(
        school=school, monday=monday, digest=b"-", entries=entries, changed_at=now, checked_at=now
    )


def hold(school: School) -> HeldWeek:
    return HeldWeek.objects.create(
        fetch=make_fetch(school), school=school, monday=MONDAY, digest=b"-", old_entries=9,
        new_entries=0, payload=b"", held_at=timezone.now(),
    )  # fmt: skip


def fetched(school: School, run: Run, state: FetchState, **columns: object) -> SchoolFetch:
    return make_fetch(school, run, state=state, finished_at=timezone.now(), **columns)


def end(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state=RunState.COMPLETED, finished_at=timezone.now())


def cells(monday: date = MONDAY) -> dict[tuple[str, str], dict[str, int]]:
    found = CoverageCell.objects.filter(monday=monday).values("office", "level", *Coverage.values)
    return {(row.pop("office"), row.pop("level")): row for row in found}


def test_each_school_is_counted_once_as_what_it_is() -> None:
    first, second = make_run(), make_run()
    kinds = {}
    for number, kind in enumerate(
        ("collected", "empty", "failed", "mended", "mended_empty", "held", "untried", "cancelled")
    ):
        kinds[kind] = make_school(f"700000{number}")
    store(kinds["collected"], entries=30)
    fetched(kinds["collected"], second, FetchState.FAILED)
    store(kinds["empty"], entries=0)
    fetched(kinds["failed"], first, FetchState.FAILED, error_class="timed_out")
    store(kinds["failed"], entries=0)
    fetched(kinds["mended"], first, FetchState.FAILED)
    fetched(kinds["mended"], second, FetchState.SUCCEEDED)
    store(kinds["mended"], entries=5)
    fetched(kinds["mended_empty"], first, FetchState.FAILED)
    fetched(kinds["mended_empty"], second, FetchState.EMPTY)
    store(kinds["mended_empty"], entries=0)
    store(kinds["held"], entries=30)
    hold(kinds["held"])
    fetched(kinds["cancelled"], second, FetchState.CANCELLED)

    coverage.refresh()

    counts, schools = coverage.of_week(MONDAY)
    found = {each.school_id: each.coverage for each in schools}
    assert {kind: found[school.pk].value for kind, school in kinds.items()} == {
        "collected": "collected", "empty": "empty", "failed": "failed", "mended": "collected",
        "mended_empty": "empty", "held": "held", "untried": "untried", "cancelled": "untried",
    }  # fmt: skip
    assert cells() == {
        ("B10", "high"): {"collected": 2, "empty": 2, "failed": 1, "held": 1, "untried": 2}
    }
    assert counts == Counter(found.values())


@pytest.mark.parametrize(
    ("columns", "entries", "is_expected"),
    [
        ({"founded_on": MONDAY + timedelta(days=6)}, None, True),
        ({"founded_on": MONDAY + timedelta(days=7)}, None, False),
        ({"founded_on": MONDAY + timedelta(days=7)}, 3, True),
        ({"closed_at": datetime(2026, 6, 8, 23, 59, tzinfo=KOREA)}, None, False),
        ({"closed_at": datetime(2026, 6, 9, 0, 0, tzinfo=KOREA)}, None, True),
        ({"closed_at": datetime(2026, 6, 1, 0, 0, tzinfo=KOREA)}, 3, True),
        ({"closed_at": datetime(2026, 6, 1, 0, 0, tzinfo=KOREA)}, 0, False),
    ],
    ids=["founded in the week", "founded after", "founded after, but stored", "closed on Monday",
         "closed on Tuesday", "closed before, but stored", "closed before, nothing there"],
)  # fmt: skip
def test_a_school_is_expected_when_it_was_there(
    columns: dict[str, object], entries: int | None, is_expected: bool
) -> None:
    school = make_school(**columns)
    if entries is not None:
        store(school, entries=entries)

    week = read_week(Choice(MONDAY), today=TODAY)

    assert bool(week.tally.expected) is is_expected
    assert [line.school for line in week.unexpected] == ([] if is_expected else [school])


def test_refresh_counts_the_weeks_again_that_runs_and_decisions_changed_and_no_others() -> None:
    school, run = make_school(), make_run(weeks=2)
    assert coverage.refresh() == [MONDAY, MONDAY + timedelta(weeks=1)]
    end(run)
    coverage.refresh()
    _let_time_pass()
    assert coverage.refresh() == []

    later = make_run(first_monday=MONDAY + timedelta(weeks=4))
    store(school, entries=3, monday=later.first_monday)
    assert coverage.refresh() == [later.first_monday]
    assert cells(later.first_monday)["B10", "high"]["collected"] == 1
    end(later)
    coverage.refresh()
    _let_time_pass()

    held = hold(school)
    end(held.fetch.run)
    coverage.refresh()
    assert cells()["B10", "high"]["held"] == 1
    _let_time_pass()
    HeldWeek.objects.update(state=HeldState.REJECTED, decided_at=timezone.now())
    assert coverage.refresh() == [MONDAY]
    assert cells()["B10", "high"] == {
        "collected": 0, "empty": 0, "failed": 0, "held": 0, "untried": 1,
    }  # fmt: skip


def _let_time_pass() -> None:
    """As if everything so far had been an hour ago."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE collection_run SET finished_at = now() - interval '1 hour'")


def test_refresh_counts_every_week_again_when_the_school_list_changed() -> None:
    school, run = make_school(), make_run()
    end(run)
    coverage.refresh()
    _let_time_pass()
    School.objects.filter(pk=school.pk).update(level=Level.SPECIAL)
    SchoolListSync.objects.create(
        started_at=timezone.now(), finished_at=timezone.now(), changed=1, offices=[]
    )

    assert coverage.refresh() == [MONDAY]
    assert list(cells()) == [("B10", "special")]


def test_cells_of_a_week_that_was_deleted_go_when_retention_says_so() -> None:
    school, run = make_school(), make_run()
    store(school, entries=3)
    coverage.refresh()
    SchoolWeek.objects.all().delete()
    Run.objects.filter(pk=run.pk).delete()
    later = make_run(first_monday=MONDAY + timedelta(weeks=4))

    coverage.forget()

    assert coverage.as_of() is None
    assert coverage.refresh() == [later.first_monday]
    assert cells() == {}


@pytest.mark.parametrize(
    ("tally", "percent", "expected"),
    [
        (Tally(collected=4), 100, "full"),
        (Tally(collected=9999, failed=1), 99, "trouble-1"),
        (Tally(collected=9999, held=1), 99, "trouble-1"),
        (Tally(collected=9999, untried=1), 99, "trouble-1"),
        (Tally(collected=9999, empty=1), 99, "quiet-1"),
        (Tally(collected=1, empty=1, failed=1), 33, "trouble-4"),
        (Tally(empty=3), 0, "quiet-4"),
    ],
)
def test_only_a_week_without_any_missing_school_is_full(
    tally: Tally, percent: int, expected: str
) -> None:
    assert (tally.percent, shade(tally)) == (percent, expected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"coverage": Coverage.COLLECTED}, Reason.COLLECTED),
        ({"coverage": Coverage.FAILED}, Reason.FAILED),
        ({"coverage": Coverage.HELD}, Reason.HELD),
        ({"coverage": Coverage.UNTRIED}, Reason.UNTRIED),
        ({"coverage": Coverage.UNTRIED, "under_way": True}, Reason.UNDER_WAY),
        ({}, Reason.NO_DATA),
        ({"most_are_empty": True}, Reason.VACATION),
        ({"today": MONDAY + timedelta(days=6)}, Reason.NOT_YET),
        ({"today": MONDAY + timedelta(days=7)}, Reason.NO_DATA),
        ({"weeks_checked": 8, "weeks_with_data": 0}, Reason.NEVER),
        ({"weeks_checked": 7, "weeks_with_data": 0}, Reason.NO_DATA),
    ],
)
def test_reason(changes: dict[str, object], reason: Reason) -> None:
    usual: dict[str, object] = {
        "coverage": Coverage.EMPTY, "monday": MONDAY, "today": TODAY, "under_way": False,
        "weeks_checked": 20, "weeks_with_data": 12, "most_are_empty": False,
    }  # fmt: skip
    given = usual | changes

    assert reason_of(given.pop("coverage"), **given) is reason  # type: ignore[arg-type]


def test_freshness_is_that_of_the_open_schools() -> None:
    now = timezone.now()
    for number, (days, closed) in enumerate(
        [(1, False), (6, False), (8, False), (15, False), (15, True)]
    ):
        school = make_school(f"700000{number}", closed_at=now if closed else None)
        store(school, entries=1)
        SchoolWeek.objects.filter(school=school).update(checked_at=now - timedelta(days=days))
    make_school("7000009")
    make_run()
    coverage.refresh()

    fresh = read_freshness(now=now)

    assert (fresh.schools, fresh.fresh, fresh.stale, fresh.never) == (5, 2, 1, 1)
    assert fresh.fresh_percent == "40.0"


def test_map_takes_as_many_queries_for_a_year_of_all_offices_as_for_one(client: Client) -> None:
    log_in(client, "view_schoolweek")
    make_school()
    make_run()
    coverage.refresh()
    address = f"/admin/coverage/?weeks=53&until={MONDAY}"
    with CaptureQueriesContext(connection) as few:
        assert client.get(address).status_code == 200
    for number, office in enumerate(("C10", "D10", "E10")):
        make_school(f"710000{number}", office=office, level=Level.MIDDLE)
    make_run(first_monday=MONDAY - timedelta(weeks=20), weeks=20)
    coverage.refresh()

    with CaptureQueriesContext(connection) as many:
        page = client.get(address).content.decode()

    assert len(many) == len(few)
    assert page.count("trouble-4") == CoverageCell.objects.count() + 1  # the legend's
    assert f"/admin/coverage/{MONDAY}/?office=C10&amp;level=middle" in page


def test_collect_starts_a_run_of_the_missing_schools_alone(
    client: Client, settings: Settings
) -> None:
    settings.NEIS_API_KEYS = ("k",)
    user = log_in(client, "view_schoolweek", "operate_run", "view_run")
    there, failed, untried = (make_school(f"700000{n}") for n in range(3))
    make_school("7000007", level=Level.MIDDLE)
    store(there, entries=1)
    fetched(failed, make_run(), FetchState.FAILED)

    answer = client.post(
        f"/admin/coverage/{MONDAY}/collect/",
        {"office": "B10", "level": "high", "state": "missing"},
        follow=True,
    )

    run = Run.objects.latest("pk")
    assert set(run.fetches.values_list("school", flat=True)) == {failed.pk, untried.pk}
    assert (run.first_monday, run.weeks, run.started_by) == (MONDAY, 1, user)
    assert LogEntry.objects.filter(user=user, object_id=run.pk).count() == 1
    assert f"{run}</a>" in answer.content.decode()


@pytest.mark.parametrize("lacking", ["view_schoolweek", "operate_run"])
def test_collect_needs_both_permissions(client: Client, lacking: str) -> None:
    log_in(client, *{"view_schoolweek", "operate_run"} - {lacking})
    make_school()

    assert client.post(f"/admin/coverage/{MONDAY}/collect/").status_code == 403
    assert not Run.objects.exists()


def test_week_tells_the_reason_of_each_missing_school(client: Client) -> None:
    log_in(client, "view_schoolweek")
    failed = make_school("7000001")
    run = make_run()
    fetched(failed, run, FetchState.FAILED, error_class="timed_out", error_message="after 20 s")
    waiting = make_school("7000002")
    make_fetch(waiting, run)

    page = client.get(
        f"/admin/coverage/{MONDAY}/", headers={"Accept-Language": "en"}
    ).content.decode()

    assert "after 20 s" in page
    assert "Being collected now" in page
    assert 'name="school"' not in page
    assert client.get(f"/admin/coverage/{MONDAY + timedelta(days=1)}/").status_code == 404
