"""The classes of a school: sizes, identities and weekly patterns."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

import orjson

from .dice import fraction, generator
from .offices import ELS, HIS, MIS
from .patterns import VARIANTS, Week, period_of, weekly_pattern
from .schools import School
from .subjects import (
    ELECTIVES,
    ELEMENTARY,
    GENERAL_DEPARTMENTS,
    HIGH,
    MIDDLE,
    ROOMS,
    SPECIAL_CLASS_NAMES,
    SPECIAL_COURSES,
    SPECIAL_PURPOSE,
    THEMED_CLASS_NAMES,
    TRACKS,
    VOCATIONAL_COMMON,
    pool,
)


@dataclass(frozen=True, slots=True)
class SchoolClass:
    """One class, or one elective group (`name` is None), with its weekly pattern."""

    grade: int
    name: str | None
    room: str | None
    course: str | None
    day_night: str | None
    track: str | None
    department: str | None
    week: Week


@lru_cache(maxsize=8192)
def classes_of(seed: int, school: School, year: int, term: int) -> tuple[SchoolClass, ...]:
    """The classes are the same each year; what they are taught changes with the semester."""
    rng = generator(seed, school.school_code, "classes")
    timetable = generator(seed, school.school_code, year, term, "patterns")
    if school.service == ELS:
        return tuple(_elementary(seed, rng, timetable))
    if school.service == MIS:
        return tuple(_middle(seed, rng, timetable))
    if school.service == HIS:
        return tuple(_high(seed, school, rng, timetable))
    return tuple(_special(seed, rng, timetable))


def render_class(service: str, klass: SchoolClass) -> bytes:
    """The fields of a timetable row between the date and the period."""
    fields: list[tuple[str, str | None]] = []
    if service in (MIS, HIS):
        fields.append(("DGHT_CRSE_SC_NM", klass.day_night))
    if service == HIS:
        fields += [("ORD_SC_NM", klass.track), ("DDDEP_NM", klass.department)]
    if service not in (ELS, MIS, HIS):
        fields.append(("SCHUL_CRSE_SC_NM", klass.course))
    fields.append(("GRADE", str(klass.grade)))
    if service not in (ELS, MIS):
        fields.append(("CLRM_NM", klass.room))
    fields.append(("CLASS_NM", klass.name))
    return orjson.dumps(dict(fields))[1:-1]


def _sizes(rng: Random, *, median: float, sigma: float, most: int, grades: int) -> list[int]:
    """Classes per grade: many small schools, few large ones."""
    size = median * pow(2.718281828, rng.gauss(0, sigma))
    return [max(1, min(most, round(size + rng.uniform(-0.6, 0.6)))) for _ in range(grades)]


def _elementary(seed: int, rng: Random, timetable: Random) -> Iterator[SchoolClass]:
    mark, names = _mark(rng), _class_names(rng)
    for grade, size in enumerate(_sizes(rng, median=2.05, sigma=0.78, most=12, grades=6), 1):
        hours = (23, 23, 26, 26, 29, 29)[grade - 1]
        subjects = pool(ELEMENTARY[grade])
        for order in range(size):
            week = weekly_pattern(seed, subjects, hours, timetable.randrange(VARIANTS), 0.0, mark)
            yield SchoolClass(grade, names(order), None, "초등학교", "주간", None, None, week)


def _middle(seed: int, rng: Random, timetable: Random) -> Iterator[SchoolClass]:
    mark, names = _mark(rng), _class_names(rng)
    day_night = None if rng.random() < 0.03 else "주간"
    for grade, size in enumerate(_sizes(rng, median=4.0, sigma=0.75, most=14, grades=3), 1):
        subjects = pool(MIDDLE[grade])
        for order in range(size):
            variant = timetable.randrange(VARIANTS)
            week = weekly_pattern(seed, subjects, 33, variant, 0.005, mark)
            yield SchoolClass(grade, names(order), None, "중학교", day_night, None, None, week)


def _class_names(rng: Random) -> "Names":
    return Names(THEMED_CLASS_NAMES if rng.random() < 0.02 else ())


@dataclass(frozen=True, slots=True)
class Names:
    """CLASS_NM by order: themed names first, where the school has any, then numbers."""

    themed: tuple[str, ...] = ()

    def __call__(self, order: int) -> str:
        return self.themed[order] if order < len(self.themed) else str(order + 1)


def _mark(rng: Random) -> str:
    """A few schools write the same mark before every subject."""
    chance = rng.random()
    return "-" if chance < 0.03 else "* " if chance < 0.04 else ""


def _high(seed: int, school: School, rng: Random, timetable: Random) -> list[SchoolClass]:
    if school.stream == "vocational":
        return list(_vocational(seed, rng, timetable))
    classes = list(_general(seed, school, rng, timetable))
    share = _elective_share(seed, school)
    return _with_electives(seed, classes, share, timetable) if share else classes


def _hours(rng: Random) -> int:
    return rng.choices((33, 34, 35, 40, 52), (40, 35, 20, 4, 1))[0]


def _general(seed: int, school: School, rng: Random, timetable: Random) -> Iterator[SchoolClass]:
    mark, hours, rooms = _mark(rng), _hours(rng), rng.random()
    track, department = _department(school, rng)
    sizes = _sizes(rng, median=5.9, sigma=0.5, most=15, grades=3)
    for grade, size in enumerate(sizes, 1):
        subjects = pool(HIGH[grade])
        for order in range(size):
            name = str(order + 1)
            variant = timetable.randrange(VARIANTS)
            week = weekly_pattern(seed, subjects, hours, variant, 0.02, mark)
            room = name if rooms < 0.8 else f"{grade}{order + 1:02}" if rooms < 0.92 else None
            yield SchoolClass(grade, name, room, "고등학교", "주간", track, department, week)


def _department(school: School, rng: Random) -> tuple[str | None, str | None]:
    if school.stream == "special-purpose":
        return rng.choice(tuple(SPECIAL_PURPOSE.values()))
    return rng.choices(GENERAL_DEPARTMENTS, (70, 12, 12, 3, 3))[0]


def _vocational(seed: int, rng: Random, timetable: Random) -> Iterator[SchoolClass]:
    """Departments in parallel; most such schools begin the class numbers anew in each."""
    track = rng.choice(tuple(TRACKS))
    departments, trade = TRACKS[track]
    chosen = rng.sample(pool(departments), min(len(pool(departments)), rng.randint(2, 6)))
    subjects = pool(VOCATIONAL_COMMON) + tuple(s for s in pool(trade) if s != "*")
    hours, mark, numbers_restart = _hours(rng), _mark(rng), rng.random() < 0.75
    per_department = _sizes(rng, median=1.45, sigma=0.45, most=4, grades=len(chosen))
    for grade in (1, 2, 3):
        numbered = 0
        for department, size in zip(chosen, per_department, strict=True):
            for order in range(size):
                numbered += 1
                name = str(order + 1 if numbers_restart else numbered)
                variant = timetable.randrange(VARIANTS)
                week = weekly_pattern(seed, subjects, hours, variant, 0.16, mark)
                night = "야간" if order and order == size - 1 and rng.random() < 0.02 else "주간"
                yield SchoolClass(grade, name, name, "고등학교", night, track, department, week)


def _elective_share(seed: int, school: School) -> float:
    """Share of the lessons outside a class: none in four schools of ten, up to 77 %."""
    chance = fraction(seed, school.school_code, "electives")
    if chance < 0.32:
        return 0.0
    if chance > 0.992:
        return 0.77
    return 0.03 + 0.38 * math.pow((chance - 0.32) / 0.68, 1.6)


def _with_electives(
    seed: int, classes: list[SchoolClass], share: float, timetable: Random
) -> list[SchoolClass]:
    """Move lessons of grades 2 and 3 (and 1, where these are not enough) to elective groups."""
    changed: list[SchoolClass] = []
    for grade in (1, 2, 3):
        of_grade = [klass for klass in classes if klass.grade == grade]
        part = min(0.97, share * 1.5) if grade > 1 else max(0.0, share - 0.65) * 3
        slots = _elective_slots(of_grade[0].week, part, timetable)
        changed += [
            replace(klass, week=_keep(klass.week, slots, inside=False)) for klass in of_grade
        ]
        changed += _elective_groups(seed, of_grade, slots, timetable) if slots else []
    return changed


def _elective_slots(week: Week, part: float, timetable: Random) -> frozenset[tuple[int, int]]:
    slots = sorted({(day, period_of(cell)) for day, cells in enumerate(week) for cell in cells})
    return frozenset(timetable.sample(slots, round(len(slots) * part)))


def _elective_groups(
    seed: int, of_grade: list[SchoolClass], slots: frozenset[tuple[int, int]], timetable: Random
) -> Iterator[SchoolClass]:
    """As many groups as classes; the room is the only handle, and not always there."""
    hours = sum(max((period_of(c) for c in day), default=0) for day in of_grade[0].week)
    for order, klass in enumerate(of_grade):
        variant = timetable.randrange(VARIANTS)
        week = weekly_pattern(seed, pool(ELECTIVES), hours, variant)
        room = ROOMS[order % len(ROOMS)] if order < len(ROOMS) else f"{klass.grade}{order:02}"
        without_room = timetable.random() < 0.05
        yield replace(
            klass,
            name=None,
            room=None if without_room else room,
            week=_keep(week, slots, inside=True),
        )


def _keep(week: Week, slots: frozenset[tuple[int, int]], *, inside: bool) -> Week:
    return tuple(
        tuple(cell for cell in cells if ((day, period_of(cell)) in slots) == inside)
        for day, cells in enumerate(week)
    )


def _special(seed: int, rng: Random, timetable: Random) -> Iterator[SchoolClass]:
    """Grades begin anew in each course; some classes have names, some no course, some no name."""
    named, courseless, nameless = rng.random() < 0.3, rng.random() < 0.08, rng.random() < 0.1
    classes = rng.choice((1, 1, 1, 2))
    for course, (grades, hours, subjects) in SPECIAL_COURSES.items():
        if course in ("유치원", "전공과") and rng.random() < 0.4:
            continue
        for grade in range(1, grades + 1):
            for order in range(classes):
                variant = timetable.randrange(VARIANTS)
                week = weekly_pattern(seed, pool(subjects), hours, variant)
                name = SPECIAL_CLASS_NAMES[order] if named else str(order + 1)
                elective = nameless and course == "전공과"
                yield SchoolClass(
                    grade,
                    None if elective else name,
                    name,
                    None if courseless else course,
                    "주간",
                    None,
                    None,
                    week,
                )
