"""The services of NEIS that are asked, and the fields that their rows must have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """`name` is the path and the root of the answer; `fields` must stand in every row."""

    name: str
    fields: frozenset[str]
    from_parameter: str = ""
    to_parameter: str = ""


_SCHOOL = ("ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE")
_LESSON = (*_SCHOOL, "AY", "SEM", "ALL_TI_YMD", "GRADE", "CLASS_NM", "PERIO", "ITRT_CNTNT")


def _timetable(name: str, *fields: str) -> Service:
    return Service(name, frozenset((*_LESSON, *fields)), "TI_FROM_YMD", "TI_TO_YMD")


SCHOOL_INFO = Service("schoolInfo", frozenset((*_SCHOOL, "SCHUL_NM", "SCHUL_KND_SC_NM")))
CLASS_INFO = Service("classInfo", frozenset((*_SCHOOL, "AY", "GRADE", "CLASS_NM")))
ELEMENTARY_TIMETABLE = _timetable("elsTimetable")
MIDDLE_TIMETABLE = _timetable("misTimetable", "DGHT_CRSE_SC_NM")
HIGH_TIMETABLE = _timetable("hisTimetable", "DGHT_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM", "CLRM_NM")
SPECIAL_TIMETABLE = _timetable("spsTimetable", "SCHUL_CRSE_SC_NM", "CLRM_NM")
SCHOOL_SCHEDULE = Service(
    "SchoolSchedule",
    frozenset((*_SCHOOL, "AY", "AA_YMD", "EVENT_NM")),
    "AA_FROM_YMD",
    "AA_TO_YMD",
)
MEALS = Service(
    "mealServiceDietInfo",
    frozenset((*_SCHOOL, "MMEAL_SC_CODE", "MLSV_YMD", "DDISH_NM")),
    "MLSV_FROM_YMD",
    "MLSV_TO_YMD",
)

SERVICES = {
    service.name: service
    for service in (
        SCHOOL_INFO,
        CLASS_INFO,
        ELEMENTARY_TIMETABLE,
        MIDDLE_TIMETABLE,
        HIGH_TIMETABLE,
        SPECIAL_TIMETABLE,
        SCHOOL_SCHEDULE,
        MEALS,
    )
}
