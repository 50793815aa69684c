"""Answers that NEIS really gave, over HTTP through the client and into entries.

They lie beside the repository and are read from there; without them this part is skipped.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings

from collection import school_list
from collection.models import ListIssueKind
from collection.neis import (
    SERVICES,
    Answer,
    BadRequest,
    Incomplete,
    KeyRefused,
    Keys,
    Malformed,
    NeisClient,
)
from collection.normalising import ENTRY_COLUMNS, Normalised, normalise
from tests.collection.neis.server import reply, serving
from tests.collection.rows import page

SAMPLES = Path(settings.BASE_DIR).parent / "shared" / "neis-samples"

pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"the recorded answers of NEIS are not at {SAMPLES}"
)


def recorded(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


@contextmanager
def answering(body: bytes, *keys: str) -> Iterator[NeisClient]:
    with serving(lambda asked: reply(body)) as server:
        client = NeisClient(base_url=server.base_url, keys=Keys(keys))
        try:
            yield client
        finally:
            client.close()


def ask(service: str, body: bytes, *keys: str) -> Answer:
    with answering(body, *keys) as client:
        return client.ask(SERVICES[service], {})


def rows_only(service: str, name: str) -> bytes:
    """The recorded rows in an answer of their own: the head was not recorded."""
    return page(service, orjson.loads(recorded(name))["row"])


def entries(answer: Normalised, monday: date) -> list[dict[str, Any]]:
    week = answer.weeks[monday]
    return [dict(zip(ENTRY_COLUMNS, entry, strict=True)) for entry in week.entries]


def test_five_of_six_lessons_are_no_whole_answer_when_there_was_no_key() -> None:
    body = recorded("hisTimetable_B10-7010118_20260611_keyless5of6.json")

    answer = ask("hisTimetable", body)

    assert (len(answer.rows), answer.total, answer.complete) == (5, 6, False)
    with pytest.raises(Incomplete):
        ask("hisTimetable", body, "key")


def test_five_lessons_become_entries_when_they_are_normalised() -> None:
    monday = date(2026, 6, 8)
    answer = ask("hisTimetable", recorded("hisTimetable_B10-7010118_20260611_keyless5of6.json"))

    normalised = normalise(answer.rows, office_code="B10", school_code="7010118", mondays=[monday])

    assert [entry["period"] for entry in entries(normalised, monday)] == [1, 2, 3, 4, 6]
    assert entries(normalised, monday)[0] == {
        "date": date(2026, 6, 11),
        "academic_year": 2026,
        "semester": 1,
        "course": None,
        "day_night": "주간",
        "track": "일반계",
        "department": "일반학과",
        "grade": 1,
        "class_name": "1",
        "period": 1,
        "classroom": "1",
        "subject": "체육1",
    }
    assert not normalised.rejected


def test_whole_answer_becomes_six_entries_when_a_key_was_given() -> None:
    monday = date(2021, 12, 20)
    body = recorded("hisTimetable_I10-9300180_20211224_full6.json")

    answer = ask("hisTimetable", body, "key")
    normalised = normalise(answer.rows, office_code="I10", school_code="9300180", mondays=[monday])

    assert (answer.total, answer.complete, answer.requests) == (6, True, 1)
    assert (normalised.received, normalised.duplicate, normalised.rejected) == (6, 0, [])
    assert [entry["period"] for entry in entries(normalised, monday)] == [1, 2, 3, 4, 5, 6]
    assert {entry["department"] for entry in entries(normalised, monday)} == {"7차일반"}
    assert set(normalised.weeks[monday].loaded_on) == {date(2021, 12, 26)}


def test_marks_before_subjects_are_kept_when_a_middle_school_is_normalised() -> None:
    monday = date(2023, 3, 6)
    body = rows_only("misTimetable", "misTimetable_T10-7003714_20230306_rows.json")

    answer = ask("misTimetable", body, "key")
    normalised = normalise(answer.rows, office_code="T10", school_code="7003714", mondays=[monday])

    assert [entry["subject"] for entry in entries(normalised, monday)] == [
        "-수학",
        "-영어",
        "-사회",
        "-과학",
        "-(자)주제선택활동",
    ]


def test_every_row_becomes_a_school_when_the_list_is_read() -> None:
    answer = ask("schoolInfo", recorded("schoolInfo_B10_highschools_keyless5of319.json"))

    reading = school_list.read(answer.rows)

    assert (answer.total, answer.complete, reading.issues) == (319, False, [])
    assert len(reading.schools) == 5
    assert reading.offices == {"B10": "서울특별시교육청"}
    school = reading.schools["B10", "7010057"]
    assert school["name"] == "가락고등학교"
    assert school["address"] == "서울특별시 송파구 송이로 42 (송파동,가락고등학교)"
    assert school["telephone"] == "02-416-4658"


def test_doubled_rows_are_set_aside_when_the_recorded_list_comes_twice() -> None:
    rows = ask("schoolInfo", recorded("schoolInfo_B10_highschools_keyless5of319.json")).rows

    reading = school_list.read([*rows, *rows])

    assert len(reading.schools) == 5
    assert [kind for kind, _ in reading.issues] == [ListIssueKind.DOUBLED_CODE] * 5


def test_calendar_is_read_when_there_was_no_key() -> None:
    body = recorded("SchoolSchedule_B10-7010118_202606_keyless5of10.json")

    answer = ask("SchoolSchedule", body)

    assert (len(answer.rows), answer.total) == (5, 10)
    assert answer.rows.row(0)["EVENT_NM"] == "전국 동시 지방선거"


def test_meal_is_read_when_it_has_no_load_time() -> None:
    body = recorded("mealServiceDietInfo_B10-7010536_20220929_full.json")

    answer = ask("mealServiceDietInfo", body, "key")

    assert answer.complete
    assert [row["MLSV_YMD"] for row in answer.rows] == ["20220929"]


def test_class_is_read_when_its_load_time_has_fourteen_digits() -> None:
    body = rows_only("classInfo", "classInfo_B10-7010911_202102_rows.json")

    assert [row["DDDEP_NM"] for row in ask("classInfo", body, "key").rows] == ["해킹보안과정"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error_ERROR-290.json", KeyRefused),
        ("error_ERROR-300.json", BadRequest),
        ("error_INFO-200.xml", Malformed),
    ],
)
def test_error_is_raised_when_answer_is(name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ask("hisTimetable", recorded(name), "key")


def test_no_data_is_a_whole_answer_when_it_was_recorded() -> None:
    answer = ask("hisTimetable", recorded("error_INFO-200.json"), "key")

    assert (len(answer.rows), answer.complete) == (0, True)
