"""What NEIS would answer to a request: rows, filters, pages and result codes."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import orjson

from .offices import ELS, HIS, MIS, SPS
from .records import class_rows, meal_rows, schedule_rows
from .schools import School
from .wire import json_page, json_result, xml_page, xml_result
from .world import World

MOST_ROWS_ON_A_PAGE = 1000
ROWS_WITHOUT_A_KEY = 5
NO_DATA = "INFO-200"

_OF_SCHOOL = ("ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE")
_LESSON = ("AY", "SEM", "ALL_TI_YMD", "GRADE", "CLASS_NM")
# Filters by service; from and to are read apart. Parameters that stand nowhere are ignored.
FILTERS: Mapping[str, tuple[str, ...]] = {
    "schoolInfo": (*_OF_SCHOOL, "SCHUL_KND_SC_NM", "LCTN_SC_NM", "FOND_SC_NM"),
    "classInfo": ("AY", "GRADE", "DGHT_CRSE_SC_NM", "SCHUL_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM"),
    ELS: (*_LESSON, "PERIO"),
    MIS: (*_LESSON, "PERIO", "DGHT_CRSE_SC_NM"),
    HIS: (*_LESSON, "DGHT_CRSE_SC_NM", "ORD_SC_NM", "DDDEP_NM", "CLRM_NM"),
    SPS: (*_LESSON, "PERIO", "SCHUL_CRSE_SC_NM", "CLRM_NM"),
    "SchoolSchedule": ("DGHT_CRSE_SC_NM", "SCHUL_CRSE_SC_NM", "AA_YMD"),
    "mealServiceDietInfo": ("MMEAL_SC_CODE", "MLSV_YMD"),
}
_SPANS = {
    **dict.fromkeys((ELS, MIS, HIS, SPS), ("TI_FROM_YMD", "TI_TO_YMD", "ALL_TI_YMD")),
    "SchoolSchedule": ("AA_FROM_YMD", "AA_TO_YMD", "AA_YMD"),
    "mealServiceDietInfo": ("MLSV_FROM_YMD", "MLSV_TO_YMD", "MLSV_YMD"),
}


class Refusal(Exception):
    """A result code in place of rows."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Question:
    """One request, without its key. `school_code` and `page` are what faults are chosen by."""

    service: str
    parameters: Mapping[str, str]

    @property
    def school_code(self) -> str:
        return self.parameters.get("SD_SCHUL_CODE", "")

    @property
    def page(self) -> int:
        return self._number("pIndex", 1)

    @property
    def size(self) -> int:
        size = self._number("pSize", 100)
        if size > MOST_ROWS_ON_A_PAGE:
            raise Refusal("ERROR-336")
        return size

    @property
    def as_json(self) -> bool:
        """The name counts in any case: clients in use write `type`."""
        kinds = (value for name, value in self.parameters.items() if name.lower() == "type")
        return next(kinds, "xml").lower() == "json"

    def _number(self, name: str, default: int) -> int:
        raw = self.parameters.get(name, "")
        if not raw:
            return default
        if not raw.isdigit() or int(raw) < 1:
            raise Refusal("ERROR-333")
        return int(raw)


class Answering:
    """Pages rendered once and kept, the longest unused one going first."""

    def __init__(self, world: World, *, cache_bytes: int) -> None:
        self._world = world
        self._pages: OrderedDict[object, bytes] = OrderedDict()
        self._room = cache_bytes

    def page(self, question: Question, *, with_key: bool) -> bytes:
        """The body for a question whose key was accepted, or that came without one."""
        check(question, with_key=with_key)
        number, size = (question.page, question.size) if with_key else (1, ROWS_WITHOUT_A_KEY)
        wanted = self._identity(question, number, size)
        known = self._pages.get(wanted)
        if known is not None:
            self._pages.move_to_end(wanted)
            return known
        rows = self.rows(question)
        for start in range(0, max(len(rows), 1), size):
            piece = rows[start : start + size]
            page = start // size + 1
            self._keep(self._identity(question, page, size), _body(question, len(rows), piece))
            if not with_key:
                break
        return self._pages.get(wanted) or _body(question, len(rows), [])

    def rows(self, question: Question) -> list[bytes]:
        """Every row of the answer, rendered."""
        service, parameters = question.service, question.parameters
        rows = list(self._unfiltered(service, parameters))
        filters = {name: parameters[name] for name in FILTERS[service] if parameters.get(name)}
        name_part = parameters.get("SCHUL_NM", "") if service == "schoolInfo" else ""
        for known in (*_OF_SCHOOL, "ALL_TI_YMD", "AA_YMD", "MLSV_YMD"):
            if service != "schoolInfo":
                filters.pop(known, None)
        if not filters and not name_part:
            return rows
        return [row for row in rows if _matches(orjson.loads(row), filters, name_part)]

    def _unfiltered(self, service: str, parameters: Mapping[str, str]) -> Iterable[bytes]:
        world = self._world
        if service == "schoolInfo":
            return (listing.wire for listing in world.listing())
        school = world.school(*(parameters[name] for name in _OF_SCHOOL))
        if school is None:
            return ()
        loaded = f"{world.clock.today():%Y%m%d}"
        if service == "classInfo":
            return class_rows(world.seed, school, world.recent_years(), loaded)
        first, last = self._span(service, parameters)
        if service == "SchoolSchedule":
            return schedule_rows(
                world.seed, school, first, last, range(first.year - 1, last.year + 1), loaded
            )
        if service == "mealServiceDietInfo":
            return meal_rows(world.seed, school, _days(first, last), world.vacation, loaded)
        return self._lessons(service, school, first, last)

    def _lessons(self, service: str, school: School, first: date, last: date) -> list[bytes]:
        if school.service != service:
            return []
        return self._world.timetable(school, first, last)

    def _span(self, service: str, parameters: Mapping[str, str]) -> tuple[date, date]:
        """Both ends included; without dates the present week."""
        from_name, to_name, day_name = _SPANS[service]
        if parameters.get(day_name):
            day = _date(parameters[day_name])
            return day, day
        today = self._world.clock.today()
        monday = today - timedelta(days=today.weekday())
        first = _date(parameters.get(from_name, "")) if parameters.get(from_name) else monday
        last = _date(parameters[to_name]) if parameters.get(to_name) else first + timedelta(days=6)
        return first, last

    def _identity(self, question: Question, page: int, size: int) -> object:
        world = self._world
        ignored = {"pIndex", "pSize", "KEY"}
        parameters = frozenset(
            item for item in question.parameters.items() if item[0] not in ignored
        )
        state = (world.conditions, world.closed, world.list_fraction)
        return question.service, parameters, page, size, state

    def _keep(self, identity: object, body: bytes) -> None:
        self._pages[identity] = body
        self._room -= len(body)
        while self._room < 0 and len(self._pages) > 1:
            _, dropped = self._pages.popitem(last=False)
            self._room += len(dropped)


def check(question: Question, *, with_key: bool) -> None:
    """Raises Refusal for what NEIS refuses before it looks for rows; paging needs a key."""
    if question.service not in FILTERS:
        raise Refusal("ERROR-310")
    required = () if question.service == "schoolInfo" else _OF_SCHOOL
    if not all(question.parameters.get(name) for name in required):
        raise Refusal("ERROR-300")
    if with_key:
        _ = question.page, question.size


def result(question: Question, code: str) -> bytes:
    return json_result(code) if question.as_json else xml_result(code)


def _body(question: Question, total: int, rows: list[bytes]) -> bytes:
    if not rows:
        return result(question, NO_DATA)
    if question.as_json:
        return json_page(question.service, total, rows)
    return xml_page(question.service, total, rows)


def _matches(row: dict[str, str | None], filters: Mapping[str, str], name_part: str) -> bool:
    if name_part and name_part not in (row.get("SCHUL_NM") or ""):
        return False
    return all(row.get(name) == value for name, value in filters.items())


def _date(value: str) -> date:
    try:
        return datetime.strptime(value, "%Y%m%d").date()
    except ValueError:
        raise Refusal("ERROR-300") from None


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=day) for day in range((last - first).days + 1))
