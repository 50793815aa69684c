"""The smaller datasets of a school, drawn from the same classes and calendar as its lessons."""

from collections.abc import Iterable, Iterator
from datetime import date

import orjson

from .classes import SchoolClass, classes_of
from .dice import fraction, generator
from .names import DISHES
from .offices import ELS, HIS, MIS
from .schools import School
from .terms import Event, SchoolYear, days_between, school_year

Row = dict[str, str | None]


def class_rows(seed: int, school: School, years: Iterable[int], loaded: str) -> Iterator[bytes]:
    """classInfo: exactly the classes of the timetables; elective groups are no classes."""
    for year in years:
        for klass in classes_of(seed, school, year, 1):
            if klass.name is not None:
                yield orjson.dumps(_class_row(school, klass, year, loaded))


def _class_row(school: School, klass: SchoolClass, year: int, loaded: str) -> Row:
    return {
        "ATPT_OFCDC_SC_CODE": school.office_code,
        "ATPT_OFCDC_SC_NM": school.office_name,
        "SD_SCHUL_CODE": school.school_code,
        "SCHUL_NM": school.name,
        "AY": str(year),
        "GRADE": str(klass.grade),
        "DGHT_CRSE_SC_NM": klass.day_night,
        "SCHUL_CRSE_SC_NM": klass.course,
        "ORD_SC_NM": klass.track,
        "DDDEP_NM": klass.department,
        "CLASS_NM": klass.name,
        "LOAD_DTM": loaded,
    }


_GRADES = ("ONE", "TW", "THREE", "FR", "FIV", "SIX")
_COURSES = {ELS: "초등학교", MIS: "중학교", HIS: "고등학교"}


def schedule_rows(
    seed: int, school: School, first: date, last: date, years: Iterable[int], loaded: str
) -> Iterator[bytes]:
    """SchoolSchedule: holidays, school events, and the first and last days of terms."""
    for year in years:
        calendar = school_year(seed, school, year)
        events = [*calendar.events.items(), *_term_marks(calendar)]
        for day, event in sorted(events, key=lambda item: item[0]):
            if first <= day <= last:
                yield orjson.dumps(_schedule_row(school, year, day, event, loaded))


def _term_marks(calendar: SchoolYear) -> Iterator[tuple[date, Event]]:
    spring, autumn = calendar.first_term, calendar.second_term
    yield spring[0], Event("개학식", None, "해당없음", False)
    yield spring[1], Event("여름방학식", None, "해당없음", False)
    yield autumn[0], Event("2학기 개학식", None, "해당없음", False)
    yield autumn[1], Event("겨울방학식", None, "해당없음", False)
    for day in days_between(spring[1], autumn[0]):
        if spring[1] < day < autumn[0]:
            yield day, Event("여름방학", None, "휴업일", False)


def _schedule_row(school: School, year: int, day: date, event: Event, loaded: str) -> Row:
    grades = 3 if school.level in ("middle", "high") else 6
    concerned = {
        f"{name}_GRADE_EVENT_YN": "*"
        if grade > grades
        else "Y"
        if event.grade in (None, grade)
        else "N"
        for grade, name in enumerate(_GRADES, 1)
    }
    return {
        "ATPT_OFCDC_SC_CODE": school.office_code,
        "SD_SCHUL_CODE": school.school_code,
        "AY": str(year),
        "AA_YMD": f"{day:%Y%m%d}",
        "ATPT_OFCDC_SC_NM": school.office_name,
        "SCHUL_NM": school.name,
        "DGHT_CRSE_SC_NM": "주간",
        "SCHUL_CRSE_SC_NM": _COURSES.get(school.service),
        "EVENT_NM": event.name,
        "EVENT_CNTNT": "",
        **concerned,
        "SBTR_DD_SC_NM": event.day_off,
        "LOAD_DTM": loaded,
    }


def meal_rows(
    seed: int, school: School, days: Iterable[date], vacation: bool, loaded: str
) -> Iterator[bytes]:
    """mealServiceDietInfo: lunch on every school day; dinner too in some high schools."""
    dinner = school.level == "high" and fraction(seed, school.school_code, "dinner") < 0.5
    for day in days:
        if _has_lessons(seed, school, day, vacation):
            yield orjson.dumps(_meal_row(seed, school, day, "2", "중식", loaded))
            if dinner:
                yield orjson.dumps(_meal_row(seed, school, day, "3", "석식", loaded))


def _has_lessons(seed: int, school: School, day: date, vacation: bool) -> bool:
    from_march = day.year if day.month >= 3 else day.year - 1
    calendar = school_year(seed, school, from_march)
    event = calendar.events.get(day)
    closed = event is not None and event.day_off != "해당없음"
    return not closed and (calendar.is_term_day(day) if vacation else day.weekday() < 5)


def _meal_row(seed: int, school: School, day: date, code: str, name: str, loaded: str) -> Row:
    rng = generator(seed, school.school_code, day, code)
    ymd = f"{day:%Y%m%d}"
    return {
        "ATPT_OFCDC_SC_CODE": school.office_code,
        "ATPT_OFCDC_SC_NM": school.office_name,
        "SD_SCHUL_CODE": school.school_code,
        "SCHUL_NM": school.name,
        "MMEAL_SC_CODE": code,
        "MMEAL_SC_NM": name,
        "MLSV_YMD": ymd,
        "MLSV_FGR": str(rng.randrange(60, 1200)),
        "DDISH_NM": "<br/>".join(rng.sample(DISHES, 6)),
        "ORPLC_INFO": "쌀 : 국내산<br/>김치류 : 국내산<br/>돼지고기 : 국내산",
        "CAL_INFO": f"{rng.randrange(5500, 11000) / 10} Kcal",
        "NTR_INFO": f"탄수화물(g) : {rng.randrange(900, 1600) / 10}<br/>단백질(g) : 42.9",
        "MLSV_FROM_YMD": ymd,
        "MLSV_TO_YMD": ymd,
        "LOAD_DTM": loaded,
    }
