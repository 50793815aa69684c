"""Rows into entries: nothing is lost, changed or counted wrongly on the way."""

import random
from datetime import date, timedelta

import pytest

from collection.neis.errors import Malformed
from collection.normalising import ENTRY_COLUMNS, Entry, Normalised, Week, normalise
from tests.collection import rows as wire
from tests.collection.rows import MONDAY, OFFICE, SCHOOL, Row

NEXT_MONDAY = MONDAY + timedelta(weeks=1)


def normalised(*rows: Row, mondays: tuple[date, ...] = (MONDAY,)) -> Normalised:
    return normalise(wire.in_columns(rows), office_code=OFFICE, school_code=SCHOOL, mondays=mondays)


def named(entry: Entry) -> dict[str, object]:
    return dict(zip(ENTRY_COLUMNS, entry, strict=True))


def column(name: str, *rows: Row) -> list[object]:
    return [named(entry)[name] for entry in normalised(*rows).weeks[MONDAY].entries]


HIGH_ENTRY = {
    "date": MONDAY,
    "academic_year": 2026,
    "semester": 1,
    "course": None,
    "day_night": "주간",
    "track": "일반계",
    "department": "일반학과",
    "grade": 1,
    "class_name": "1",
    "period": 1,
    "classroom": "301",
    "subject": "체육1",
}
ELEMENTARY_ENTRY = HIGH_ENTRY | dict.fromkeys(("day_night", "track", "department", "classroom"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(wire.high(), HIGH_ENTRY, id="high"),
        pytest.param(wire.elementary(), ELEMENTARY_ENTRY | {"subject": "국어"}, id="elementary"),
        pytest.param(
            wire.special(),
            ELEMENTARY_ENTRY | {"subject": "국어", "course": "초등학교", "classroom": "특별실"},
            id="special",
        ),
        pytest.param(
            wire.high(CLASS_NM=None, CLRM_NM=None, ITRT_CNTNT=None, ORD_SC_NM=None),
            HIGH_ENTRY | dict.fromkeys(("class_name", "classroom", "subject", "track")),
            id="elective without a class",
        ),
    ],
)
def test_row_becomes_entry_when_service_is(row: Row, expected: dict[str, object]) -> None:
    week = normalised(row).weeks[MONDAY]

    assert [named(entry) for entry in week.entries] == [expected]
    assert list(week.loaded_on) == [date(2026, 6, 11)]


@pytest.mark.parametrize(
    ("field", "raw", "reason"),
    [
        ("ALL_TI_YMD", None, "date"),
        ("ALL_TI_YMD", "", "date"),
        ("ALL_TI_YMD", "2026068", "date"),
        ("ALL_TI_YMD", "20260631", "date"),
        ("ALL_TI_YMD", "2026-6-8", "date"),
        ("ALL_TI_YMD", "２０２６０６０８", "date"),
        ("ALL_TI_YMD", "20260607", "date"),
        ("ALL_TI_YMD", "20260615", "date"),
        ("AY", None, "academic_year"),
        ("AY", "1999", "academic_year"),
        ("AY", "2100", "academic_year"),
        ("AY", "02026", "academic_year"),
        ("SEM", "0", "semester"),
        ("SEM", "3", "semester"),
        ("SEM", " 1", "semester"),
        ("SEM", None, "semester"),
        ("GRADE", "0", "grade"),
        ("GRADE", "7", "grade"),
        ("GRADE", "", "grade"),
        ("GRADE", "１", "grade"),
        ("PERIO", "0", "period"),
        ("PERIO", "21", "period"),
        ("PERIO", "-1", "period"),
        ("PERIO", "1.0", "period"),
        ("PERIO", "²", "period"),
        ("PERIO", None, "period"),
    ],
    ids=lambda value: repr(value),
)
def test_row_is_rejected_whole_and_the_others_stay_when_value_is_wrong(
    field: str, raw: str | None, reason: str
) -> None:
    wrong = wire.high(**{field: raw})

    answer = normalised(wire.high(), wrong, wire.high(PERIO="2"))

    assert [(item.reason, item.row) for item in answer.rejected] == [(reason, wrong)]
    assert [entry[9] for entry in answer.weeks[MONDAY].entries] == [1, 2]
    assert (answer.received, answer.duplicate) == (3, 0)


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("ALL_TI_YMD", "20260608"),
        ("ALL_TI_YMD", "20260614"),
        ("AY", "2000"),
        ("AY", "2099"),
        ("SEM", "2"),
        ("GRADE", "6"),
        ("GRADE", "01"),
        ("PERIO", "20"),
    ],
)
def test_row_is_kept_when_value_is_at_the_edge(field: str, raw: str) -> None:
    answer = normalised(wire.high(**{field: raw}))

    assert not answer.rejected
    assert len(answer.weeks[MONDAY].entries) == 1


def test_first_wrong_column_is_the_reason_when_several_are_wrong() -> None:
    answer = normalised(wire.high(PERIO="x", GRADE="x", ALL_TI_YMD="x"), wire.high(PERIO="x"))

    assert [item.reason for item in answer.rejected] == ["date", "period"]


@pytest.mark.parametrize(
    "text",
    [
        "-수학",
        "* [보강]* 국어",
        " padded ",
        "tab\tnew\nline\rreturn",
        'quote " comma , backslash \\ \\N \\.',
        "\ufeffBOM and NBSP\u00a0",
        "이모지 🏫👩‍🏫",
        "가\u1100\u1161",
        "",
        "긴" * 5000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_text_is_kept_as_it_is_when_it_is_odd(text: str) -> None:
    assert column("subject", wire.high(ITRT_CNTNT=text)) == [text]


def test_nul_is_removed_and_counted_when_a_text_has_it() -> None:
    answer = normalised(
        wire.high(ITRT_CNTNT="\0수\0학", CLASS_NM="1\0"), wire.high(ITRT_CNTNT="수학"), wire.high()
    )

    assert answer.nul_removed == 3
    assert sorted(str(entry[11]) for entry in answer.weeks[MONDAY].entries) == ["수학", "체육1"]
    assert answer.duplicate == 1


def test_null_and_empty_text_are_two_entries_when_both_come() -> None:
    answer = normalised(wire.high(CLASS_NM=None), wire.high(CLASS_NM=""))

    assert {entry[8] for entry in answer.weeks[MONDAY].entries} == {None, ""}


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        (["20260611", "20260611"], date(2026, 6, 11)),
        (["20260611", "20260612"], date(2026, 6, 12)),
        (["20260612", "20260611"], date(2026, 6, 12)),
        ([None, "20260611"], date(2026, 6, 11)),
        (["20260611", None], date(2026, 6, 11)),
        (["20260610", "20260612", "20260611"], date(2026, 6, 12)),
        ([None, None], None),
    ],
)
def test_equal_rows_are_one_entry_with_the_latest_load_when_loaded(
    loaded: list[str | None], expected: date | None
) -> None:
    answer = normalised(*(wire.high(LOAD_DTM=value) for value in loaded))

    assert list(answer.weeks[MONDAY].loaded_on) == [expected]
    assert answer.duplicate == len(loaded) - 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("20260611", date(2026, 6, 11)),
        ("20210201003115", date(2021, 2, 1)),
        ("20260231", None),
        ("never", None),
        ("", None),
        (None, None),
    ],
)
def test_entry_is_kept_whatever_the_load_time_is(raw: str | None, expected: date | None) -> None:
    week = normalised(wire.high(LOAD_DTM=raw)).weeks[MONDAY]

    assert (len(week.entries), list(week.loaded_on)) == (1, [expected])


def test_load_time_stays_beside_its_own_entry_when_rows_are_rejected_and_sorted() -> None:
    week = normalised(
        wire.high(PERIO="3", LOAD_DTM="20260603"),
        wire.high(PERIO="x", LOAD_DTM="20260609"),
        wire.high(PERIO="1", LOAD_DTM="20260601"),
        wire.high(PERIO="2", LOAD_DTM="20260602"),
    ).weeks[MONDAY]

    assert [entry[9] for entry in week.entries] == [1, 2, 3]
    assert [day and day.day for day in week.loaded_on] == [1, 2, 3]


def test_several_subjects_of_one_cell_are_all_kept() -> None:
    assert column("subject", wire.high(ITRT_CNTNT="나"), wire.high(ITRT_CNTNT="가")) == ["가", "나"]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(wire.high(SD_SCHUL_CODE="7010119"), id="school"),
        pytest.param(wire.high(ATPT_OFCDC_SC_CODE="C10"), id="office"),
        pytest.param(wire.high(SD_SCHUL_CODE=None), id="null"),
    ],
)
def test_answer_is_malformed_when_a_row_has_another(row: Row) -> None:
    with pytest.raises(Malformed):
        normalised(wire.high(), row)


def test_every_week_of_the_window_is_there_when_there_are_no_rows() -> None:
    answer = normalised(mondays=(MONDAY, NEXT_MONDAY))

    assert list(answer.weeks) == [MONDAY, NEXT_MONDAY]
    assert answer.weeks[MONDAY].digest == Week().digest
    assert (answer.received, answer.duplicate, answer.rejected) == (0, 0, [])


def test_rows_go_to_their_own_weeks_when_there_are_several() -> None:
    third = NEXT_MONDAY + timedelta(weeks=1)

    answer = normalised(
        wire.high(ALL_TI_YMD="20260615"),
        wire.high(ALL_TI_YMD="20260614"),
        wire.high(ALL_TI_YMD="20260621"),
        mondays=(MONDAY, NEXT_MONDAY, third),
    )

    dates = {monday: [entry[0].day for entry in w.entries] for monday, w in answer.weeks.items()}
    assert dates == {MONDAY: [14], NEXT_MONDAY: [15, 21], third: []}


def test_entries_and_digest_are_the_same_when_rows_come_in_another_order() -> None:
    choice = random.Random(7)
    rows = [
        wire.high(
            PERIO=str(choice.randrange(1, 8)),
            CLASS_NM=choice.choice(["1", "10", "", None]),
            ITRT_CNTNT=choice.choice(["가", "나", None]),
            ALL_TI_YMD=f"202606{choice.randrange(8, 15):02}",
        )
        for _ in range(200)
    ]
    shuffled = choice.sample(rows, len(rows))

    first, second = normalised(*rows), normalised(*shuffled)

    assert first.weeks[MONDAY].entries == second.weeks[MONDAY].entries
    assert first.weeks[MONDAY].digest == second.weeks[MONDAY].digest


def test_digest_is_the_same_when_only_the_load_time_differs() -> None:
    before, after = normalised(wire.high()), normalised(wire.high(LOAD_DTM="20260612"))

    assert before.weeks[MONDAY].digest == after.weeks[MONDAY].digest


@pytest.mark.parametrize(
    "change",
    [
        {"ALL_TI_YMD": "20260609"},
        {"AY": "2025"},
        {"SEM": "2"},
        {"DGHT_CRSE_SC_NM": "야간"},
        {"ORD_SC_NM": "공업계"},
        {"DDDEP_NM": "게임과"},
        {"GRADE": "2"},
        {"CLRM_NM": "302"},
        {"CLASS_NM": "2"},
        {"CLASS_NM": None},
        {"CLASS_NM": ""},
        {"PERIO": "2"},
        {"ITRT_CNTNT": "체육1 "},
        {"ITRT_CNTNT": "301", "CLRM_NM": "체육1"},
    ],
    ids=str,
)
def test_digest_differs_when_one_value_differs(change: dict[str, str | None]) -> None:
    before, after = normalised(wire.high()), normalised(wire.high(**change))

    assert before.weeks[MONDAY].digest != after.weeks[MONDAY].digest


@pytest.mark.parametrize("seed", range(5))
def test_counts_add_up_when_the_answer_is_a_mess(seed: int) -> None:
    choice = random.Random(seed)
    rows = [
        wire.high(
            PERIO=choice.choice(["1", "2", "3", "x", None]),
            GRADE=choice.choice(["1", "2", "9"]),
            ALL_TI_YMD=choice.choice(["20260608", "20260617", "20260701"]),
            ITRT_CNTNT=choice.choice(["가", "나\0", None]),
        )
        for _ in range(300)
    ]

    answer = normalised(*rows, mondays=(MONDAY, NEXT_MONDAY))

    entries = sum(len(week.entries) for week in answer.weeks.values())
    assert answer.received == 300 == entries + answer.duplicate + len(answer.rejected)
    assert all(len(week.entries) == len(week.loaded_on) for week in answer.weeks.values())
