"""One week of one school as NEIS would send it: rendered rows, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from random import Random

import orjson

from .classes import SchoolClass, classes_of, render_class
from .dice import fraction, generator, number
from .dirt import Dirt, dirty_rows
from .patterns import Week, period_of, render_cell
from .schools import School
from .subjects import MARKS
from .terms import (
    Event,
    academic_year,
    published_from,
    school_year,
    semester,
    starts_empty,
)

SUBJECT = b'"ITRT_CNTNT":'
LOADED = b',"LOAD_DTM":"'
CHANGED_CELLS_A_DAY = (8, 7, 8, 7, 7)
"""37 in a school week, measured on real schools."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the rows of a week depend on, beside the school: the world's settings."""

    seed: int
    today: date
    revision: int
    vacation: bool
    late_publishers: bool
    dirty_share: float


@dataclass(frozen=True, slots=True)
class SchoolWeek:
    """`days` are the rows of Monday to Friday; `dirt` tells the odd ones among them."""

    days: tuple[list[bytes], ...]
    dirt: tuple[Dirt, ...] = ()


NO_ROWS = SchoolWeek(([], [], [], [], []))


def render_week(conditions: Conditions, school: School, monday: date) -> SchoolWeek:
    """Every row of the week, exact duplicates included, as bytes of one JSON object each."""
    if not _is_published(conditions, school, monday):
        return NO_ROWS
    rng = generator(conditions.seed, school.school_code, monday)
    duplicates = 0.066 * fraction(conditions.seed, school.school_code, "duplicates")
    loaded = loaded_on(conditions.today, monday)
    days: list[list[bytes]] = []
    for weekday in range(5):
        day = monday + timedelta(days=weekday)
        rows, is_ordinary = _lessons(conditions, school, day, loaded)
        if is_ordinary:
            _mark_some(rows, rng)
            _rewrite(rows, conditions, school, day)
        _duplicate(rows, rng, duplicates, loaded)
        days.append(rows)
    dirt = _soil(conditions, school, monday, days)
    return SchoolWeek(tuple(days), dirt)


def _is_published(conditions: Conditions, school: School, monday: date) -> bool:
    if not conditions.late_publishers:
        return True
    published = published_from(conditions.seed, school, monday)
    if published is None or published > conditions.today:
        return False
    year = school_year(conditions.seed, school, academic_year(monday + timedelta(days=4)))
    return not conditions.vacation or not any(
        starts_empty(conditions.seed, school, monday, term[0])
        for term in (year.first_term, year.second_term)
    )


def loaded_on(today: date, monday: date) -> str:
    """LOAD_DTM: reloaded every night until the Sunday of the week; 14 digits in old rows."""
    day = min(today, monday + timedelta(days=6))
    return f"{day:%Y%m%d}003115" if monday.year < 2021 else f"{day:%Y%m%d}"


def _lessons(
    conditions: Conditions, school: School, day: date, loaded: str
) -> tuple[list[bytes], bool]:
    """The rows of a day, and whether any change may be made to them (no event day)."""
    seed, year = conditions.seed, academic_year(day)
    calendar = school_year(seed, school, year)
    if conditions.vacation and not calendar.is_term_day(day):
        return [], False
    event = calendar.events.get(day)
    if event is None or not event.replaces_lessons:
        event = None
    elif event.day_off == "공휴일" and fraction(seed, school.school_code, "holidays") < 0.5:
        return [], False
    term = semester(day)
    prefix = orjson.dumps(
        {
            "ATPT_OFCDC_SC_CODE": school.office_code,
            "ATPT_OFCDC_SC_NM": school.office_name,
            "SD_SCHUL_CODE": school.school_code,
            "SCHUL_NM": school.name,
            "AY": str(year),
            "SEM": str(term),
            "ALL_TI_YMD": f"{day:%Y%m%d}",
        }
    )[:-1]
    tail = LOADED + loaded.encode() + b'"}'
    rows: list[bytes] = []
    weekday = day.weekday()
    for klass, fields in _rendered_classes(seed, school, year, term):
        head = b"%b,%b," % (prefix, fields)
        rows += [head + cell + tail for cell in _cells(klass, weekday, event)]
    return rows, event is None


@lru_cache(maxsize=1024)
def _rendered_classes(
    seed: int, school: School, year: int, term: int
) -> tuple[tuple[SchoolClass, bytes], ...]:
    """The classes with their fields: the same bytes on every day of the semester."""
    classes = classes_of(seed, school, year, term)
    return tuple((klass, render_class(school.service, klass)) for klass in classes)


def _cells(klass: SchoolClass, weekday: int, event: Event | None) -> Sequence[bytes]:
    cells = klass.week[weekday]
    if event is None or event.grade not in (None, klass.grade):
        return cells
    return [render_cell(period, event.name) for period in sorted({*map(period_of, cells)})]


def _subject_span(row: bytes) -> tuple[int, int]:
    start = row.index(SUBJECT) + len(SUBJECT)
    return start, row.rindex(LOADED)


def _mark_some(rows: list[bytes], rng: Random) -> None:
    """Marks before some subjects, and now and then no subject at all."""
    if not rows:
        return
    for position in rng.choices(range(len(rows)), k=round(len(rows) * 0.02 + rng.random())):
        start, end = _subject_span(rows[position])
        row = rows[position]
        mark = rng.choice(MARKS).encode()
        if rng.random() < 0.05:
            rows[position] = row[:start] + b"null" + row[end:]
        elif row[start : start + 1] == b'"':
            rows[position] = row[: start + 1] + mark + row[start + 1 :]


def _rewrite(rows: list[bytes], conditions: Conditions, school: School, day: date) -> None:
    """Change some cells for each revision: substitutes, and lessons that changed places."""
    if not rows:
        return
    changes = min(CHANGED_CELLS_A_DAY[day.weekday()], max(1, len(rows) // 5))
    for revision in range(1, conditions.revision + 1):
        rng = generator(conditions.seed, school.school_code, day, "revision", revision)
        for position in rng.sample(range(len(rows)), changes):
            row = rows[position]
            start, end = _subject_span(row)
            other = rows[rng.randrange(len(rows))]
            other_start, other_end = _subject_span(other)
            subject = other[other_start:other_end]
            if subject == row[start:end] or subject == b"null":
                subject = orjson.dumps(f"[보강]자율활동 {revision}")
            rows[position] = row[:start] + subject + row[end:]


def _duplicate(rows: list[bytes], rng: Random, share: float, loaded: str) -> None:
    """Add exact copies, a few of which were loaded a night before."""
    if not rows:
        return
    copies = rng.choices(rows, k=int(len(rows) * share + rng.random()))
    if copies and rng.random() < 0.15:
        night = date.fromisoformat(loaded[:8]) - timedelta(days=1)
        earlier = f"{night:%Y%m%d}{loaded[8:]}".encode()
        copies[0] = copies[0][: copies[0].rindex(LOADED) + len(LOADED)] + earlier + b'"}'
    rows += copies


def _soil(
    conditions: Conditions, school: School, monday: date, days: list[list[bytes]]
) -> tuple[Dirt, ...]:
    """Put odd rows among the day's rows of a share of the school weeks."""
    chance = fraction(conditions.seed, school.school_code, monday, "dirt")
    if chance >= conditions.dirty_share:
        return ()
    rng = generator(conditions.seed, school.school_code, monday, "dirty rows")
    found: list[Dirt] = []
    for rows in days:
        if rows:
            dirt = dirty_rows(rng.choice(rows), rng)
            rows += [odd.row for odd in dirt]
            found += dirt
    return tuple(found)


def scatter(rows: list[bytes], seed: int, school_code: str) -> list[bytes]:
    """An order that is always the same and sorted by nothing, as NEIS documents none."""
    stride = 3 + number(seed, school_code, "stride") % 11
    first = number(seed, school_code, "first") % stride
    scattered: list[bytes] = []
    for offset in range(stride):
        scattered += rows[(first + offset) % stride :: stride]
    return scattered


__all__ = ["Conditions", "SchoolWeek", "Week", "loaded_on", "render_week", "scatter"]
