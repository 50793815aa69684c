"""A strict client that others wrote reads every service that the product needs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from neispy import Neispy, error

from collection.neis_emulator import Emulator, School

from .conftest import KEY

Call = Callable[[Neispy], Awaitable[Any]]


def ask(emulator: Emulator, call: Call, *, key: str = KEY) -> Any:
    class Client(Neispy):
        BASE = emulator.base_url

    async def run() -> Any:
        async with Client(KEY=key, pSize=1000) as client:
            return await call(client)

    return asyncio.run(run())


def parameters(school: School, **more: Any) -> dict[str, Any]:
    codes = {"ATPT_OFCDC_SC_CODE": school.office_code, "SD_SCHUL_CODE": school.school_code}
    return {**codes, **more}


@pytest.mark.parametrize(
    "service", ["elsTimetable", "misTimetable", "hisTimetable", "spsTimetable"]
)
def test_timetables_of_every_level(emulator: Emulator, service: str) -> None:
    school = next(s for s in emulator.world.schools if s.service == service)
    span = parameters(school, TI_FROM_YMD=20260608, TI_TO_YMD=20260612)
    answer = ask(emulator, lambda client: getattr(client, service)(**span))
    head, rows = getattr(answer, service)
    assert head.head[0].list_total_count >= len(rows.row) > 0
    assert school.school_code == rows.row[0].SD_SCHUL_CODE


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("schoolInfo", {}),
        ("classInfo", {}),
        ("SchoolSchedule", {"AA_FROM_YMD": 20260301, "AA_TO_YMD": 20260831}),
        ("mealServiceDietInfo", {"MLSV_FROM_YMD": "20260608", "MLSV_TO_YMD": "20260612"}),
    ],
)
def test_the_other_services(
    emulator: Emulator, school: School, service: str, more: dict[str, Any]
) -> None:
    wanted = parameters(school, **more)
    answer = ask(emulator, lambda client: getattr(client, service)(**wanted))
    _, rows = getattr(answer, service)
    assert school.school_code == rows.row[0].SD_SCHUL_CODE


def test_no_data_is_an_exception_of_its_own(emulator: Emulator, school: School) -> None:
    august = parameters(school, TI_FROM_YMD=20260803, TI_TO_YMD=20260807)
    with pytest.raises(error.DataNotFound):
        ask(emulator, lambda client: client.hisTimetable(**august))


@pytest.mark.parametrize(
    ("key", "changes", "exception"),
    [
        ("nobody's", {}, error.AuthenticationKeyInvaild),
        (KEY, {"SD_SCHUL_CODE": ""}, error.MissingRequiredValues),
        (KEY, {"pSize": 1001}, error.CannotExceed1000),
        (KEY, {"pIndex": "x"}, error.LocationValueTypeInvaild),
    ],
)
def test_codes_are_exceptions(
    emulator: Emulator,
    school: School,
    key: str,
    changes: dict[str, Any],
    exception: type[Exception],
) -> None:
    wanted = parameters(school) | changes
    with pytest.raises(exception):
        ask(emulator, lambda client: client.hisTimetable(**wanted), key=key)
