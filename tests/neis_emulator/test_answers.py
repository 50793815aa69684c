"""What the emulator answers, over HTTP: shapes, codes, pages and filters."""

from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest

from collection.neis_emulator import Clock, Emulator, School
from collection.neis_emulator.wire import json_result

from .conftest import Ask

SAMPLES = Path(__file__).parents[3] / "shared" / "neis-samples"
MONDAY = date(2026, 6, 8)


def code_of(answer: Any) -> str:
    return str(answer.json()["RESULT"]["CODE"])


def rows_of(answer: Any, service: str) -> list[dict[str, str | None]]:
    rows: list[dict[str, str | None]] = answer.json()[service][1]["row"]
    return rows


def total_of(answer: Any, service: str) -> int:
    return int(answer.json()[service][0]["head"][0]["list_total_count"])


def recorded(name: str) -> bytes:
    if not (SAMPLES / name).is_file():
        pytest.skip(f"no recorded answers at ../shared/neis-samples: {name}")
    return (SAMPLES / name).read_bytes()


@pytest.mark.parametrize(
    ("file", "service", "changes"),
    [
        ("hisTimetable_B10-7010118_20260611_keyless5of6.json", "hisTimetable", {}),
        ("schoolInfo_B10_highschools_keyless5of319.json", "schoolInfo", {"SD_SCHUL_CODE": None}),
        (
            "SchoolSchedule_B10-7010118_202606_keyless5of10.json",
            "SchoolSchedule",
            {"AA_FROM_YMD": "20260601", "AA_TO_YMD": "20260831"},
        ),
    ],
)
def test_bytes_have_the_shape_of_recorded_ones(
    ask: Ask, file: str, service: str, changes: dict[str, Any]
) -> None:
    sample = recorded(file)
    answer = ask(service, **changes)
    page = orjson.loads(sample)[service]
    total = page[0]["head"][0]["list_total_count"]
    start = sample[: sample.index(b'"row":[{')].replace(b"%d" % total, b"%d", 1)
    assert answer.content.startswith(start % total_of(answer, service))
    assert list(rows_of(answer, service)[0]) == list(page[1]["row"][0])
    assert answer.content == orjson.dumps(answer.json())


@pytest.mark.parametrize(
    ("file", "service", "missing"),
    [
        ("misTimetable_T10-7003714_20230306_rows.json", "misTimetable", []),
        ("classInfo_B10-7010911_202102_rows.json", "classInfo", []),
        # LOAD_DTM came to meals after this answer was recorded.
        (
            "mealServiceDietInfo_B10-7010536_20220929_full.json",
            "mealServiceDietInfo",
            ["LOAD_DTM"],
        ),
    ],
)
def test_fields_stand_in_the_recorded_order(
    emulator: Emulator, ask: Ask, file: str, service: str, missing: list[str]
) -> None:
    sample = orjson.loads(recorded(file))
    fields = sample["row"][0] if "row" in sample else sample[service][1]["row"][0]
    of_service = (s for s in emulator.world.schools if s.service == service)
    school = next(of_service, emulator.world.schools[0])
    answer = ask(service, ATPT_OFCDC_SC_CODE=school.office_code, SD_SCHUL_CODE=school.school_code)
    assert list(rows_of(answer, service)[0]) == [*fields, *missing]


@pytest.mark.parametrize("code", ["ERROR-290", "ERROR-300", "INFO-200"])
def test_results_are_the_recorded_bytes(code: str) -> None:
    assert json_result(code) == recorded(f"error_{code}.json").strip()


@pytest.mark.parametrize(
    ("service", "changes", "code"),
    [
        ("hisTimetable", {"KEY": "nobody's"}, "ERROR-290"),
        ("hisTimetable", {"KEY": ""}, "ERROR-300"),
        ("hisTimetable", {"SD_SCHUL_CODE": None}, "ERROR-300"),
        ("hisTimetable", {"ATPT_OFCDC_SC_CODE": None}, "ERROR-300"),
        ("schoolschedule", {}, "ERROR-310"),
        ("nothing", {}, "ERROR-310"),
        ("hisTimetable", {"pIndex": "one"}, "ERROR-333"),
        ("hisTimetable", {"pSize": "1001"}, "ERROR-336"),
        ("hisTimetable", {"pIndex": "50"}, "INFO-200"),
        ("elsTimetable", {}, "INFO-200"),
        ("hisTimetable", {"SD_SCHUL_CODE": "0000000"}, "INFO-200"),
    ],
)
def test_refusals_are_a_bare_result_with_status_200(
    ask: Ask, service: str, changes: dict[str, Any], code: str
) -> None:
    answer = ask(service, **changes)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.content == json_result(code)


def test_blocked_keys_are_told_so(emulator: Emulator, ask: Ask) -> None:
    emulator.desk.blocked = {0}
    assert code_of(ask()) == "INFO-300"
    assert total_of(ask(KEY="second-key"), "hisTimetable") > 0


def test_spent_keys_work_again_when_the_day_is_over(emulator: Emulator, ask: Ask) -> None:
    clock: Clock = emulator.world.clock
    before = clock.now()
    emulator.desk.daily_limit = 2
    assert [total_of(ask(), "hisTimetable") > 0 for _ in range(2)] == [True, True]
    assert code_of(ask()) == "ERROR-337"
    clock.set(before.replace(day=before.day + 1))
    try:
        assert total_of(ask(), "hisTimetable") > 0
    finally:
        clock.set(before)


def test_five_rows_and_the_true_total_when_there_is_no_key(ask: Ask) -> None:
    whole = ask()
    pages = [ask(KEY=None, pIndex=str(page), pSize="1000") for page in (1, 2)]
    assert [len(rows_of(page, "hisTimetable")) for page in pages] == [5, 5]
    assert pages[0].content == pages[1].content
    assert total_of(pages[0], "hisTimetable") == total_of(whole, "hisTimetable")


def test_pages_hold_every_row_once_and_the_truth(
    emulator: Emulator, ask: Ask, school: School
) -> None:
    first = ask(pSize="100")
    total = total_of(first, "hisTimetable")
    paged = [
        row
        for page in range(1, -(-total // 100) + 1)
        for row in rows_of(ask(pSize="100", pIndex=str(page)), "hisTimetable")
    ]
    world = emulator.world
    assert paged == world.raw_rows(school.office_code, school.school_code, MONDAY)
    assert len(paged) == total
    truth = world.truth(school.office_code, school.school_code, MONDAY)
    assert len(truth) < total
    assert all(row in paged for row in truth)


def test_a_hundred_rows_when_no_size_is_asked_for(ask: Ask) -> None:
    assert len(rows_of(ask(pSize=None), "hisTimetable")) == 100


def test_both_ends_of_a_span_count(ask: Ask) -> None:
    days = rows_of(ask(TI_FROM_YMD="20260609", TI_TO_YMD="20260610"), "hisTimetable")
    assert {row["ALL_TI_YMD"] for row in days} == {"20260609", "20260610"}
    one = rows_of(ask(TI_FROM_YMD=None, TI_TO_YMD=None, ALL_TI_YMD="20260609"), "hisTimetable")
    assert {row["ALL_TI_YMD"] for row in one} == {"20260609"}


def test_filters_narrow_and_unknown_ones_do_not(ask: Ask) -> None:
    whole = ask()
    second = rows_of(ask(GRADE="2"), "hisTimetable")
    assert {row["GRADE"] for row in second} == {"2"}
    assert ask(PERIO="1", NONSENSE="x").content == whole.content
    assert code_of(ask(AY="2025")) == "INFO-200"


def test_school_list_is_filtered_by_office_kind_and_part_of_a_name(ask: Ask) -> None:
    everything = {"ATPT_OFCDC_SC_CODE": None, "SD_SCHUL_CODE": None}
    some = rows_of(ask("schoolInfo", **everything, SCHUL_KND_SC_NM="특수학교"), "schoolInfo")
    assert {row["SCHUL_KND_SC_NM"] for row in some} == {"특수학교"}
    named = rows_of(ask("schoolInfo", **everything, SCHUL_NM="고등"), "schoolInfo")
    assert all("고등" in str(row["SCHUL_NM"]) for row in named)
    office = rows_of(
        ask("schoolInfo", **(everything | {"ATPT_OFCDC_SC_CODE": "I10"})), "schoolInfo"
    )
    assert {row["ATPT_OFCDC_SC_CODE"] for row in office} == {"I10"}


def test_class_list_is_the_classes_of_the_timetable(ask: Ask) -> None:
    names = ("DGHT_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM", "GRADE", "CLASS_NM")
    lessons = rows_of(ask(), "hisTimetable")
    taught = {tuple(row[n] for n in names) for row in lessons if row["CLASS_NM"] is not None}
    listed = rows_of(ask("classInfo", AY="2026"), "classInfo")
    assert {tuple(row[n] for n in names) for row in listed} == taught


def test_meals_are_on_school_days(ask: Ask) -> None:
    span = {"MLSV_FROM_YMD": "20260606", "MLSV_TO_YMD": "20260614"}
    days = {
        str(r["MLSV_YMD"])
        for r in rows_of(ask("mealServiceDietInfo", **span), "mealServiceDietInfo")
    }
    assert days
    assert all(date.fromisoformat(day).weekday() < 5 for day in days)


def test_xml_says_the_same_when_no_type_is_asked_for(ask: Ask) -> None:
    answer = ask(Type=None)
    root = ElementTree.fromstring(answer.content)
    rows = [{field.tag: field.text for field in row} for row in root.iter("row")]
    json = ask()
    assert root.tag == "hisTimetable"
    assert root.findtext("head/list_total_count") == str(total_of(json, "hisTimetable"))
    assert root.findtext("head/RESULT/CODE") == "INFO-000"
    assert rows == rows_of(json, "hisTimetable")
    empty = ElementTree.fromstring(ask(Type="xml", pIndex="50").content)
    assert (empty.tag, empty.findtext("CODE")) == ("RESULT", "INFO-200")
