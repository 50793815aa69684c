"""Answers into PostgreSQL: whole or not at all, and nothing changed that is the same."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from collection import claiming, exporting, runs, storage
from collection.claiming import Claim
from collection.deciding import HoldRule
from collection.exporting import Form, Selection
from collection.models import (
    Attempt,
    AttemptOutcome,
    FetchState,
    FileFormat,
    HeldState,
    HeldWeek,
    RejectedRow,
    School,
    SchoolFetch,
    SchoolWeek,
    TimetableEntry,
)
from collection.normalising import ENTRY_COLUMNS, Normalised, Week, normalise
from collection.storage import ClaimLost
from tests.collection import ledger
from tests.collection import rows as wire
from tests.collection.ledger import claimed, make_school
from tests.collection.rows import MONDAY, Row, in_columns

COUNTERS = (
    "received",
    "duplicate",
    "rejected",
    "stored",
    "unchanged",
    "held",
    "removed",
    "nul_removed",
)

# Other programs rely on these columns, in this order.
COLUMNS = [
    "office_code",
    "office",
    "school_code",
    "school",
    "level",
    "academic_year",
    "semester",
    "date",
    "grade",
    "class_name",
    "course",
    "day_night",
    "track",
    "department",
    "classroom",
    "period",
    "subject",
    "loaded_on",
]

pytestmark = pytest.mark.django_db


def answer(claim: Claim, rows: Sequence[Row]) -> Normalised:
    own: Row = {"ATPT_OFCDC_SC_CODE": claim.office_code, "SD_SCHUL_CODE": claim.school_code}
    return normalise(
        in_columns([row | own for row in rows]),
        office_code=claim.office_code,
        school_code=claim.school_code,
        mondays=claim.mondays,
    )


def store(
    claim: Claim, rows: Sequence[Row], *, service: str = "hisTimetable", requests: int = 1
) -> FetchState:
    return storage.store(
        claim, answer(claim, rows), service=service, requests=requests, rule=HoldRule()
    )


def counters(claim: Claim) -> dict[str, int]:
    fetch = SchoolFetch.objects.get(pk=claim.fetch_id)
    return {name: getattr(fetch, name) for name in COUNTERS if getattr(fetch, name)}


def subjects(school: School) -> list[str | None]:
    entries = TimetableEntry.objects.filter(school=school).order_by("date", "position")
    return list(entries.values_list("subject", flat=True))


def versions(school: School) -> list[tuple[Any, ...]]:
    """Which versions of which rows stand in the table: a rewritten row is another version."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date, position, xmin::text, ctid::text FROM collection_timetableentry"
            " WHERE school_id = %s ORDER BY date, position",
            [school.pk],
        )
        return list(cursor.fetchall())


def everything() -> list[Any]:
    """All that a store may write."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (
            SchoolFetch,
            SchoolWeek,
            TimetableEntry,
            HeldWeek,
            RejectedRow,
            Attempt,
            School,
        )
    ]


def waiting(school: School) -> HeldWeek:
    return HeldWeek.objects.get(school=school, state=HeldState.WAITING)


def let_pass(school: School, *, minutes: float) -> None:
    for held in HeldWeek.objects.filter(school=school):
        held.held_at -= timedelta(minutes=minutes)
        held.save(update_fields=["held_at"])


# Storing


def test_entries_are_those_of_the_answer_when_it_is_the_first() -> None:
    school = make_school()
    claim = claimed(school, weeks=2)
    rows = [
        wire.high(PERIO="2"),
        wire.high(CLASS_NM=None, ITRT_CNTNT=None, LOAD_DTM=None),
        wire.high(ALL_TI_YMD="20260616", CLASS_NM=""),
    ]

    state = store(claim, rows, requests=3)

    weeks = answer(claim, rows).weeks
    expected = [
        (position, *entry, loaded_on)
        for week in weeks.values()
        for position, (entry, loaded_on) in enumerate(
            zip(week.entries, week.loaded_on, strict=True)
        )
    ]
    entries = TimetableEntry.objects.filter(school=school).order_by("date", "position")
    assert list(entries.values_list("position", *ENTRY_COLUMNS, "loaded_on")) == expected
    assert state is FetchState.SUCCEEDED
    assert counters(claim) == {"received": 3, "stored": 3}
    for week in SchoolWeek.objects.filter(school=school):
        assert week.entries == len(weeks[week.monday].entries)
        assert bytes(week.digest) == weeks[week.monday].digest
        assert week.changed_by_id == claim.run_id


def test_fetch_ends_with_an_attempt_when_stored() -> None:
    task_id = uuid4()
    fetch = ledger.make_fetch(requests=2, error_class="timed_out", error_message="earlier")
    claim = claiming.claim(fetch.pk, worker="worker@here", task_id=task_id, lease_seconds=60)
    assert claim is not None

    store(claim, [wire.high()], requests=3)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.requests) == (FetchState.SUCCEEDED, 5)
    assert (fetch.error_class, fetch.error_message, fetch.lease_until) == ("", "", None)
    assert fetch.finished_at is not None
    attempt = Attempt.objects.get(fetch=fetch)
    assert (attempt.number, attempt.outcome) == (1, AttemptOutcome.SUCCEEDED)
    assert (attempt.worker, attempt.task_id, attempt.requests) == ("worker@here", task_id, 3)


def test_week_is_replaced_when_the_answer_differs() -> None:
    school, neighbour = make_school(), make_school("7010119")
    store(claimed(neighbour), wire.lessons(4))
    store(claimed(school, weeks=3), [*wire.lessons(5), wire.high(ALL_TI_YMD="20260616")])
    before_neighbour = versions(neighbour)
    claim = claimed(school)

    state = store(claim, [wire.high(ITRT_CNTNT="새로")])

    assert state is FetchState.SUCCEEDED
    assert subjects(school) == ["새로", "체육1"]
    assert counters(claim) == {"received": 1, "stored": 1, "removed": 5}
    assert versions(neighbour) == before_neighbour


def test_only_the_week_that_differs_is_written_when_the_answer_has_three() -> None:
    school = make_school()
    rows = [
        *wire.lessons(3),
        *wire.lessons(3, ALL_TI_YMD="20260615"),
        *wire.lessons(3, ALL_TI_YMD="20260628"),
    ]
    store(claimed(school, weeks=3), rows)
    before = versions(school)
    claim = claimed(school, weeks=3)

    store(claim, [*rows, wire.high(ALL_TI_YMD="20260615", ITRT_CNTNT="더")])

    after = versions(school)
    assert len(after) == 10
    second_week = [version for version in after if version[0] == date(2026, 6, 15)]
    assert [version for version in after if version in before] == [
        version for version in after if version not in second_week
    ]
    assert not set(second_week) & set(before)
    assert counters(claim) == {"received": 10, "stored": 4, "removed": 3, "unchanged": 6}


def test_no_entry_is_written_when_the_answer_is_the_same() -> None:
    school = make_school()
    rows = wire.lessons(30)
    store(claimed(school), rows)
    SchoolWeek.objects.update(checked_at="2026-01-01T00:00Z", changed_at="2026-01-01T00:00Z")
    before, first_run = versions(school), SchoolWeek.objects.get().changed_by_id
    claim = claimed(school)

    state = store(claim, [row | {"LOAD_DTM": "20260620"} for row in reversed(rows)])

    assert versions(school) == before
    assert state is FetchState.SUCCEEDED
    assert counters(claim) == {"received": 30, "unchanged": 30}
    week = SchoolWeek.objects.get()
    assert week.changed_by_id == first_run
    assert week.changed_at.year == 2026
    assert week.changed_at < week.checked_at


def test_fetch_is_empty_and_the_week_known_when_the_first_answer_has_no_rows() -> None:
    school = make_school()
    claim = claimed(school)

    assert store(claim, []) is FetchState.EMPTY

    assert [(week.monday, week.entries) for week in SchoolWeek.objects.all()] == [(MONDAY, 0)]
    assert counters(claim) == {}


def test_week_is_filled_when_it_was_empty_before() -> None:
    school = make_school()
    store(claimed(school), [])

    store(claimed(school), wire.lessons(2))

    assert len(subjects(school)) == 2
    assert SchoolWeek.objects.get().entries == 2


@pytest.mark.parametrize("count", [1, 5])
def test_duplicates_are_counted_and_stored_once_when_rows_are_equal(count: int) -> None:
    school = make_school()
    claim = claimed(school)

    store(claim, [*wire.lessons(3), *wire.lessons(1) * count])

    assert len(subjects(school)) == 3
    assert counters(claim) == {"received": 3 + count, "stored": 3, "duplicate": count}


def test_rejected_rows_are_counted_and_kept_whole_when_they_cannot_be_read() -> None:
    claim = claimed(make_school())
    wrong = [wire.high(PERIO="0"), wire.high(ALL_TI_YMD="20260701", ITRT_CNTNT="수\0학 \\ \"'")]

    store(claim, [wire.high(), *wrong])

    kept = RejectedRow.objects.filter(fetch=claim.fetch_id)
    assert [(row.reason, row.row) for row in kept] == [
        ("period", wrong[0]),
        ("date", wrong[1] | {"ITRT_CNTNT": "수\\u0000학 \\ \"'"}),
    ]
    assert counters(claim) == {"received": 3, "stored": 1, "rejected": 2, "nul_removed": 1}


@pytest.mark.parametrize(
    ("service", "rows", "expected"),
    [
        pytest.param(
            "elsTimetable",
            1,
            ["elsTimetable", "misTimetable", "hisTimetable"],
            id="second has rows",
        ),
        pytest.param(
            "misTimetable", 1, ["misTimetable", "elsTimetable", "hisTimetable"], id="first has rows"
        ),
        pytest.param(
            "misTimetable", 0, ["misTimetable", "elsTimetable", "hisTimetable"], id="none has rows"
        ),
    ],
)
def test_order_of_services_when(service: str, rows: int, expected: list[str]) -> None:
    school = make_school(services=["misTimetable", "elsTimetable", "hisTimetable"])

    store(claimed(school), wire.lessons(rows), service=service)

    school.refresh_from_db()
    assert school.services == expected


# Holding


@pytest.mark.parametrize(
    ("before", "after", "state", "left"),
    [
        pytest.param(30, 0, FetchState.HELD, 30, id="falls to nothing"),
        pytest.param(1, 0, FetchState.HELD, 1, id="one falls to nothing"),
        pytest.param(20, 9, FetchState.HELD, 20, id="below half"),
        pytest.param(20, 10, FetchState.SUCCEEDED, 10, id="half"),
        pytest.param(19, 1, FetchState.SUCCEEDED, 1, id="too few to judge by"),
    ],
)
def test_week_is_held_or_replaced_when(
    before: int, after: int, state: FetchState, left: int
) -> None:
    school = make_school()
    store(claimed(school), wire.lessons(before))

    assert store(claimed(school), wire.lessons(after)) is state

    assert len(subjects(school)) == left
    assert HeldWeek.objects.count() == (state is FetchState.HELD)


def test_held_answer_is_kept_whole_when_it_waits() -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    before = versions(school)
    claim = claimed(school)

    store(claim, [wire.high(CLASS_NM=None), *wire.lessons(2)])

    held = waiting(school)
    week = answer(claim, [wire.high(CLASS_NM=None), *wire.lessons(2)]).weeks[MONDAY]
    assert orjson.loads(zlib.decompress(held.payload)) == orjson.loads(
        orjson.dumps([week.entries, week.loaded_on])
    )
    assert (held.fetch_id, held.monday) == (claim.fetch_id, MONDAY)
    assert (held.old_entries, held.new_entries) == (40, 3)
    assert bytes(held.digest) == week.digest
    assert versions(school) == before
    assert counters(claim) == {"received": 3, "held": 3}


def test_other_weeks_are_stored_when_one_is_held() -> None:
    school = make_school()
    store(claimed(school, weeks=2), wire.lessons(40))
    claim = claimed(school, weeks=2)

    state = store(claim, [*wire.lessons(1), *wire.lessons(4, ALL_TI_YMD="20260616")])

    assert state is FetchState.HELD
    assert len(subjects(school)) == 44
    assert counters(claim) == {"received": 5, "held": 1, "stored": 4}


@pytest.mark.parametrize("rows", [0, 3])
def test_second_answer_is_accepted_when_it_agrees_after_ten_minutes(rows: int) -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    store(claimed(school), wire.lessons(rows))
    let_pass(school, minutes=10)
    claim = claimed(school)

    state = store(claim, wire.lessons(rows))

    assert state is (FetchState.SUCCEEDED if rows else FetchState.EMPTY)
    assert len(subjects(school)) == rows
    assert counters(claim)["removed"] == 40
    assert not HeldWeek.objects.filter(state=HeldState.WAITING).exists()


def test_second_answer_keeps_the_time_of_the_first_when_it_agrees_too_soon() -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    store(claimed(school), [])
    let_pass(school, minutes=9)
    since = waiting(school).held_at

    assert store(claimed(school), []) is FetchState.HELD

    assert waiting(school).held_at == since
    let_pass(school, minutes=1)
    assert store(claimed(school), []) is FetchState.EMPTY
    assert subjects(school) == []


def test_second_answer_waits_anew_when_it_disagrees() -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    store(claimed(school), [])
    let_pass(school, minutes=60)
    since = waiting(school).held_at

    assert store(claimed(school), wire.lessons(1)) is FetchState.HELD

    assert waiting(school).new_entries == 1
    assert waiting(school).held_at > since
    assert len(subjects(school)) == 40
    assert sorted(HeldWeek.objects.values_list("state", flat=True)) == ["superseded", "waiting"]


@pytest.mark.parametrize("rows", [40, 41])
def test_held_answer_is_superseded_when_the_rows_are_back(rows: int) -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    store(claimed(school), [])

    assert store(claimed(school), wire.lessons(rows)) is FetchState.SUCCEEDED

    held = HeldWeek.objects.get()
    assert held.state == HeldState.SUPERSEDED
    assert held.decided_at is not None
    assert len(subjects(school)) == rows


# The fence


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda claim: SchoolFetch.objects.filter(pk=claim.fetch_id).update(attempt=2),
            id="another attempt",
        ),
        pytest.param(
            lambda claim: SchoolFetch.objects.filter(pk=claim.fetch_id).update(state="waiting"),
            id="taken back",
        ),
        pytest.param(lambda claim: runs.cancel(claim.run_id), id="cancelled"),
        pytest.param(lambda claim: store(claim, wire.lessons(31)), id="stored before"),
        pytest.param(
            lambda claim: SchoolFetch.objects.filter(pk=claim.fetch_id).delete(), id="deleted"
        ),
    ],
)
def test_claim_is_lost_and_nothing_changes_when_fetch_is(spoil: Any) -> None:
    school = make_school(services=["misTimetable", "hisTimetable"])
    store(claimed(school), wire.lessons(30))
    claim = claimed(school)
    spoil(claim)
    before = everything()

    with pytest.raises(ClaimLost):
        store(claim, [*wire.lessons(29), wire.high(PERIO="x")])

    assert everything() == before


def test_nothing_changes_when_the_database_refuses_half_way() -> None:
    school = make_school()
    store(claimed(school), wire.lessons(30))
    claim = claimed(school)
    far = MONDAY + timedelta(weeks=520)
    without_partition = replace(claim, mondays=[MONDAY, far])
    before = everything()

    with pytest.raises((DatabaseError, psycopg.DatabaseError), match="no partition"):
        store(without_partition, [*wire.lessons(40), wire.high(ALL_TI_YMD=f"{far:%Y%m%d}")])

    assert everything() == before


class CutOff(list[Any]):
    """Entries in whose midst the database ends the connection that they are copied over."""

    backend = 0

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        ledger.at_once(lambda _: end_backend(self.backend), times=1)
        # Enough for psycopg to send what it has gathered so far.
        yield from super().__iter__()


def end_backend(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 2000)", [pid])


@pytest.mark.django_db(transaction=True)
def test_error_is_one_that_is_tried_again_when_the_database_goes_away_within_copy() -> None:
    school = make_school()
    claim = claimed(school)
    whole = answer(claim, wire.lessons(5000))
    entries = CutOff(whole.weeks[MONDAY].entries)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        entries.backend = cursor.fetchone()[0]
    weeks = {MONDAY: Week(entries, [None] * 10_000)}

    try:
        with pytest.raises((OperationalError, InterfaceError)):
            storage.store(
                claim,
                replace(whole, weeks=weeks),
                service="hisTimetable",
                requests=1,
                rule=HoldRule(),
            )
    finally:
        connection.close()

    assert subjects(school) == []
    assert SchoolFetch.objects.get().state == FetchState.RUNNING


def test_the_numbers_of_a_fetch_add_up_when_everything_happens_at_once() -> None:
    school = make_school()
    second, third = "20260616", "20260623"
    store(
        claimed(school, weeks=3),
        [*wire.lessons(40), *wire.lessons(5, ALL_TI_YMD=second)],
    )
    claim = claimed(school, weeks=3)

    store(
        claim,
        [
            *wire.lessons(3),
            *wire.lessons(5, ALL_TI_YMD=second),
            *wire.lessons(7, ALL_TI_YMD=third),
            *wire.lessons(2, ALL_TI_YMD=third),
            wire.high(GRADE="x"),
        ],
    )

    numbers = counters(claim)
    assert numbers == {
        "received": 18,
        "held": 3,
        "unchanged": 5,
        "stored": 7,
        "duplicate": 2,
        "rejected": 1,
    }
    assert numbers["received"] == sum(numbers.values()) - numbers["received"]


# Two connections


@pytest.mark.django_db(transaction=True)
def test_one_whole_answer_stands_when_two_runs_store_at_once() -> None:
    school = make_school()
    store(claimed(school), wire.lessons(50))
    claims = [claimed(school) for _ in range(4)]
    answers = [[wire.high(ITRT_CNTNT=f"{number}-{i}") for i in range(60)] for number in range(4)]

    states = ledger.at_once(lambda number: store(claims[number], answers[number]), times=4)

    assert states == [FetchState.SUCCEEDED] * 4
    assert sorted(map(str, subjects(school))) in [
        sorted(str(row["ITRT_CNTNT"]) for row in rows) for rows in answers
    ]
    assert sum(counters(claim)["removed"] for claim in claims) == 50 + 3 * 60


@pytest.mark.django_db(transaction=True)
def test_one_store_wins_when_a_claim_is_used_twice_at_once() -> None:
    school = make_school()
    claim = claimed(school)

    def attempt(number: int) -> FetchState | None:
        try:
            return store(claim, wire.lessons(20 + number))
        except ClaimLost:
            return None

    states = ledger.at_once(attempt, times=3)

    assert sorted(str(state) for state in states) == ["None", "None", "succeeded"]
    assert Attempt.objects.count() == 1
    assert len(subjects(school)) == 20 + states.index(FetchState.SUCCEEDED)


# Round trip


ODD_TEXTS = [
    "탭\t줄\n바꿈\r\n",
    "quote \" and '",
    "back\\slash \\N \\. \\t",
    "comma, semicolon; pipe|",
    "\\.",
    " padded ",
    "이모지 🏫👩‍🏫",
    "\ufeff\u00a0\u200b",
    "=1+1",
    "-수학",
    "* [보강]* 국어",
    "NULL",
    "\x01\x1b\x7f",
    "긴" * 5000,
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_text_is_the_same_in_the_file_when_it_is_odd(tmp_path: Path, suffix: str) -> None:
    claim = claimed(make_school())
    store(claim, [wire.high(ITRT_CNTNT=text, CLASS_NM=text) for text in [*ODD_TEXTS, "수\0학"]])
    path = tmp_path / f"out{suffix}"

    form = Form.for_machines(FileFormat(suffix.removeprefix(".")))
    manifest = exporting.write_file(Selection(mondays=[MONDAY]), form, path)

    opener = gzip.open if suffix.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file, strict=True))
    assert len(read) == manifest.file.rows == exporting.expected_rows(Selection(mondays=[MONDAY]))
    for name in ("subject", "class_name"):
        assert sorted(row[name] for row in read) == sorted([*ODD_TEXTS, "수학"])
    assert list(read[0]) == COLUMNS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.django_db(transaction=True)
def test_null_and_empty_text_differ_in_the_file_when_both_are_stored(tmp_path: Path) -> None:
    store(claimed(make_school()), [wire.high(ITRT_CNTNT=None), wire.high(ITRT_CNTNT="")])
    path = tmp_path / "out.csv"

    exporting.write_file(Selection(mondays=[MONDAY]), Form.for_machines(), path)

    endings = sorted(line.rsplit(",", 2)[1] for line in path.read_text().splitlines()[1:])
    assert endings == ["", '""']
