"""Rows and bodies as NEIS sends them, for tests to change one thing in."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson

from collection.neis.rows import Rows

OFFICE = "B10"
SCHOOL = "7010118"
MONDAY = date(2026, 6, 8)

Row = dict[str, str | None]

SUCCESS = "INFO-000"
NO_DATA = b'{"RESULT":{"CODE":"INFO-200","MESSAGE":"no data"}}'


def high(**changes: str | None) -> Row:
    """A row of hisTimetable."""
    row: Row = {
        "ATPT_OFCDC_SC_CODE": OFFICE,
        "ATPT_OFCDC_SC_NM": "서울특별시교육청",
        "SD_SCHUL_CODE": SCHOOL,
        "SCHUL_NM": "강서고등학교",
        "AY": "2026",
        "SEM": "1",
        "ALL_TI_YMD": "20260608",
        "DGHT_CRSE_SC_NM": "주간",
        "ORD_SC_NM": "일반계",
        "DDDEP_NM": "일반학과",
        "GRADE": "1",
        "CLRM_NM": "301",
        "CLASS_NM": "1",
        "PERIO": "1",
        "ITRT_CNTNT": "체육1",
        "LOAD_DTM": "20260611",
    }
    return row | changes


def elementary(**changes: str | None) -> Row:
    """A row of elsTimetable, which has four fields less."""
    row = high(SCHUL_NM="강서초등학교", ITRT_CNTNT="국어")
    for name in ("DGHT_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM", "CLRM_NM"):
        del row[name]
    return row | changes


def special(**changes: str | None) -> Row:
    """A row of spsTimetable."""
    row = elementary(SCHUL_NM="강서학교", CLRM_NM="특별실", SCHUL_CRSE_SC_NM="초등학교")
    return row | changes


def lessons(count: int, **changes: str | None) -> list[Row]:
    """Rows of one week that differ in their subjects."""
    return [high(ITRT_CNTNT=f"과목 {number:05}", **changes) for number in range(count)]


def school(code: str = SCHOOL, **changes: str | None) -> Row:
    """A row of schoolInfo."""
    row: Row = {
        "ATPT_OFCDC_SC_CODE": OFFICE,
        "ATPT_OFCDC_SC_NM": "서울특별시교육청",
        "SD_SCHUL_CODE": code,
        "SCHUL_NM": f"학교 {code}",
        "ENG_SCHUL_NM": f"School {code}",
        "SCHUL_KND_SC_NM": "고등학교",
        "LCTN_SC_NM": "서울특별시",
        "FOND_SC_NM": "사립",
        "ORG_RDNMA": "서울특별시 양천구 신목로 5",
        "ORG_RDNDA": "(신정동)",
        "ORG_TELNO": "02-000-0000",
        "HMPG_ADRES": "http://example.invalid",
        "HS_SC_NM": "일반고",
        "FOND_YMD": "19810105",
        "LOAD_DTM": "20260611",
    }
    return row | changes


def in_columns(rows: Sequence[Row]) -> Rows:
    return Rows({name: [row[name] for row in rows] for name in rows[0]} if rows else {})


def page(
    service: str,
    rows: Sequence[Any],
    *,
    total: Any = None,
    code: str = SUCCESS,
    message: str = "ok",
) -> bytes:
    head = [
        {"list_total_count": len(rows) if total is None else total},
        {"RESULT": {"CODE": code, "MESSAGE": message}},
    ]
    return orjson.dumps({service: [{"head": head}, {"row": rows}]})


def result(code: str, message: str = "as NEIS says") -> bytes:
    return orjson.dumps({"RESULT": {"CODE": code, "MESSAGE": message}})
