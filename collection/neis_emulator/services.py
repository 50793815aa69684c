"""The services of NEIS: what each requires, filters by and answers with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import orjson

from . import records
from .offices import ELS, HIS, MIS, OFFICES, SPS
from .schools import School
from .terms import academic_year, days_between
from .world import World

Filters = Mapping[str, str]
BOTH_CODES = ("ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE")
ARCHIVE = date(2019, 1, 1), date(2023, 7, 31)
CURRENT = date(2025, 3, 1), date.max
LONGEST_SPAN = timedelta(days=800)
"""Of dates asked for at once: the emulator is no place to render a decade."""


@dataclass(frozen=True, slots=True)
class Service:
    """`answers_as` is the root of its answers; `filters` are compared with the rows' fields."""

    answers_as: str
    required: tuple[str, ...]
    filters: tuple[str, ...]
    rows: Callable[[World, Filters], Iterable[bytes]]


def find_rows(service: Service, world: World, filters: Filters) -> list[bytes]:
    """All rows of an answer, before paging."""
    rows = service.rows(world, filters)
    wanted = {name: filters[name] for name in service.filters if name in filters}
    if not wanted:
        return rows if isinstance(rows, list) else list(rows)
    return [row for row in rows if _matches(row, wanted)]


def _matches(row: bytes, wanted: dict[str, str]) -> bool:
    fields: dict[str, str | None] = orjson.loads(row)
    return all(fields.get(name) == value for name, value in wanted.items())


def _school(world: World, filters: Filters) -> School | None:
    return world.school(filters["ATPT_OFCDC_SC_CODE"], filters["SD_SCHUL_CODE"])


def _school_list(world: World, filters: Filters) -> Iterable[bytes]:
    exact = ("ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE", "SCHUL_KND_SC_NM", "LCTN_SC_NM", "FOND_SC_NM")
    wanted = [(name, filters[name]) for name in exact if name in filters]
    part = filters.get("SCHUL_NM", "")
    return [
        listing.wire
        for listing in world.listing()
        if all(listing.fields[name] == value for name, value in wanted)
        and part in str(listing.fields["SCHUL_NM"])
    ]


def _timetable(service: str, era: tuple[date, date]) -> Callable[[World, Filters], list[bytes]]:
    def rows(world: World, filters: Filters) -> list[bytes]:
        school = _school(world, filters)
        span = _span(world, filters, "ALL_TI_YMD", "TI_FROM_YMD", "TI_TO_YMD")
        if school is None or school.service != service or span is None:
            return []
        first, last = span
        if world.archive:
            first, last = max(first, era[0]), min(last, era[1])
        return world.timetable(school, first, last)

    return rows


def _span(
    world: World, filters: Filters, day: str, first: str, last: str
) -> tuple[date, date] | None:
    """The days asked for: by default the school year of AY, or the present one."""
    try:
        if day in filters:
            only = _read_date(filters[day])
            return only, only
        start = _read_date(filters[first]) if first in filters else None
        end = _read_date(filters[last]) if last in filters else None
        year = int(filters.get("AY", academic_year(start or end or world.clock.today())))
        start = start or date(year, 3, 1)
        end = end or date(academic_year(start) + 1, 3, 1) - timedelta(days=1)
    except ValueError:
        return None
    return start, min(end, start + LONGEST_SPAN)


def _read_date(text: str) -> date:
    if len(text) != 8 or not text.isascii():
        raise ValueError(text)
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _classes(world: World, filters: Filters) -> Iterable[bytes]:
    school = _school(world, filters)
    years = _years(world, filters)
    return records.class_rows(world.seed, school, years, _loaded(world)) if school else ()


def _rooms(world: World, filters: Filters) -> Iterable[bytes]:
    school = _school(world, filters)
    years = _years(world, filters)
    return records.room_rows(world.seed, school, years, _loaded(world)) if school else ()


def _departments(*fields: str) -> Callable[[World, Filters], Iterable[bytes]]:
    def rows(world: World, filters: Filters) -> Iterable[bytes]:
        school = _school(world, filters)
        years = world.recent_years()[-1:]
        if school is None:
            return ()
        return records.department_rows(world.seed, school, years, _loaded(world), fields)

    return rows


def _years(world: World, filters: Filters) -> Iterable[int]:
    """Without AY several years come mixed."""
    year = filters.get("AY")
    if year is None:
        return world.recent_years()
    return (int(year),) if len(year) == 4 and year.isdecimal() else ()


def _schedule(world: World, filters: Filters) -> Iterable[bytes]:
    school = _school(world, filters)
    span = _span(world, filters, "AA_YMD", "AA_FROM_YMD", "AA_TO_YMD")
    if school is None or span is None:
        return ()
    years = range(academic_year(span[0]), academic_year(span[1]) + 1)
    return records.schedule_rows(world.seed, school, *span, years, _loaded(world))


def _meals(world: World, filters: Filters) -> Iterable[bytes]:
    school = _school(world, filters)
    span = _span(world, filters, "MLSV_YMD", "MLSV_FROM_YMD", "MLSV_TO_YMD")
    if school is None or span is None:
        return ()
    days = days_between(*span)
    return records.meal_rows(world.seed, school, days, world.vacation, _loaded(world))


def _academies(world: World, filters: Filters) -> Iterable[bytes]:
    office = OFFICES.get(filters["ATPT_OFCDC_SC_CODE"])
    if office is None:
        return ()
    return records.academy_rows(world.seed, office.code, office.name, _loaded(world))


def _loaded(world: World) -> str:
    return f"{world.clock.today():%Y%m%d}"


_TIMETABLE_FILTERS = {
    ELS: ("AY", "SEM", "GRADE", "CLASS_NM", "PERIO"),
    MIS: ("AY", "SEM", "DGHT_CRSE_SC_NM", "GRADE", "CLASS_NM", "PERIO"),
    HIS: (
        "AY", "SEM", "DGHT_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM", "GRADE", "CLRM_NM", "CLASS_NM",
    ),
    SPS: ("AY", "SEM", "SCHUL_CRSE_SC_NM", "GRADE", "CLRM_NM", "CLASS_NM", "PERIO"),
}  # fmt: skip
_CLASS_FILTERS = (
    "AY", "GRADE", "DGHT_CRSE_SC_NM", "SCHUL_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM",
)  # fmt: skip
_DEPARTMENT_FILTERS = ("DGHT_CRSE_SC_NM", "ORD_SC_NM")
_TRACK = ("DGHT_CRSE_SC_NM", "ORD_SC_NM")

SERVICES: dict[str, Service] = {
    "schoolInfo": Service("schoolInfo", (), (), _school_list),
    "classInfo": Service("classInfo", BOTH_CODES, _CLASS_FILTERS, _classes),
    "tiClrminfo": Service("tiClrminfo", BOTH_CODES, (*_CLASS_FILTERS, "SEM"), _rooms),
    "schoolMajorinfo": Service(
        "schoolMajorinfo", BOTH_CODES, _DEPARTMENT_FILTERS, _departments(*_TRACK, "DDDEP_NM")
    ),
    "schulAflcoinfo": Service(
        "schulAflcoinfo", BOTH_CODES, _DEPARTMENT_FILTERS, _departments(*_TRACK)
    ),
    "SchoolSchedule": Service(
        "SchoolSchedule", BOTH_CODES, ("DGHT_CRSE_SC_NM", "SCHUL_CRSE_SC_NM"), _schedule
    ),
    "mealServiceDietInfo": Service("mealServiceDietInfo", BOTH_CODES, ("MMEAL_SC_CODE",), _meals),
    "acaInsTiInfo": Service(
        "acaInsTiInfo",
        ("ATPT_OFCDC_SC_CODE",),
        ("ADMST_ZONE_NM", "ACA_ASNUM", "REALM_SC_NM", "LE_ORD_NM", "LE_CRSE_NM"),
        _academies,
    ),
} | {
    f"{name}{suffix}": Service(name, BOTH_CODES, filters, _timetable(name, era))
    for name, filters in _TIMETABLE_FILTERS.items()
    for suffix, era in (("", CURRENT), ("bgs", ARCHIVE))
}
