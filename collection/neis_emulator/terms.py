"""The school calendar: years, semesters, vacations, public holidays and school events."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from .dice import fraction, generator, number
from .schools import School
from .subjects import FIRST_WORDS, FREE_DAY, TRIP

PUBLIC_HOLIDAYS = {
    (1, 1): "신정",
    (3, 1): "삼일절",
    (5, 5): "어린이날",
    (6, 6): "현충일",
    (8, 15): "광복절",
    (10, 3): "개천절",
    (10, 9): "한글날",
    (12, 25): "기독탄신일",
}
"""Holidays of the lunar calendar are left out: their dates would need a table of their own."""


@dataclass(frozen=True, slots=True)
class Event:
    """A day on which lessons give way; `grade` is None when all grades are concerned."""

    name: str
    grade: int | None
    day_off: str
    """SBTR_DD_SC_NM: 공휴일, 휴업일 or 해당없음."""
    replaces_lessons: bool = True


@dataclass(frozen=True, slots=True)
class SchoolYear:
    """Term days and events of one school from March to February."""

    first_term: tuple[date, date]
    second_term: tuple[date, date]
    events: dict[date, Event]

    def is_term_day(self, day: date) -> bool:
        """Whether it is a weekday within a term; public holidays are term days."""
        if day.weekday() >= 5:
            return False
        spring, autumn = self.first_term, self.second_term
        return spring[0] <= day <= spring[1] or autumn[0] <= day <= autumn[1]


def academic_year(day: date) -> int:
    """AY: the school year, March to February."""
    return day.year if day.month >= 3 else day.year - 1


def semester(day: date) -> int:
    """SEM: 1 from March to mid-August, else 2."""
    return 1 if (3, 1) <= (day.month, day.day) <= (8, 16) else 2


def days_between(first: date, last: date) -> Iterator[date]:
    for i in range((last - first).days + 1):
        yield first + timedelta(days=i)


@lru_cache(maxsize=4096)
def school_year(seed: int, school: School, year: int) -> SchoolYear:
    """Every school has its own vacations, free days and school trip."""
    dice = number(seed, school.school_code, year, "terms")
    spring = date(year, 3, 2), date(year, 7, 14) + timedelta(days=dice % 10)
    autumn = (
        date(year, 8, 17) + timedelta(days=dice // 10 % 10),
        date(year, 12, 31) - timedelta(days=dice // 100 % 6),
    )
    empty = SchoolYear(spring, autumn, {})
    events = _holidays(year) | _own_events(seed, school, year, empty)
    return SchoolYear(spring, autumn, events)


def _holidays(year: int) -> dict[date, Event]:
    return {
        date(year if month >= 3 else year + 1, month, day): Event(name, None, "공휴일")
        for (month, day), name in PUBLIC_HOLIDAYS.items()
    }


def _own_events(seed: int, school: School, year: int, terms: SchoolYear) -> dict[date, Event]:
    rng = generator(seed, school.school_code, year, "events")
    every = [
        day
        for first, last in (terms.first_term, terms.second_term)
        for day in days_between(first + timedelta(days=14), last)
        if terms.is_term_day(day) and (day.month, day.day) not in PUBLIC_HOLIDAYS
    ]
    events = {
        day: Event(rng.choice(FIRST_WORDS), None, "해당없음", False) for day in rng.sample(every, 4)
    }
    events |= {day: Event(FREE_DAY, None, "휴업일") for day in rng.sample(every, 3)}
    start = rng.randrange(len(every) - 3)
    grade = {"elementary": 6, "middle": 2, "high": 2, "special": 3}[school.level]
    return events | {day: Event(TRIP, grade, "해당없음") for day in every[start : start + 3]}


def starts_empty(seed: int, school: School, monday: date, first_day: date) -> bool:
    """Whether this is one of the first two weeks of a term, not yet entered by this school."""
    weeks = (monday + timedelta(days=6) - first_day).days // 7
    return 0 <= weeks < 2 and fraction(seed, school.school_code, first_day, "slow start") < 0.12


_RATES = {
    # level: (never publishes, publishes late), from one June week of 371 schools.
    "elementary": (0.05, 0.14),
    "middle": (0.02, 0.05),
    "high": (0.03, 0.07),
    "special": (0.05, 0.10),
}


def published_from(seed: int, school: School, monday: date) -> date | None:
    """The day on which the school's week appears; None when the school never publishes."""
    never, late = _RATES[school.level]
    chance = fraction(seed, school.school_code, "publishing")
    if chance < never:
        return None
    if chance >= never + late:
        return date.min
    return monday + timedelta(days=3 + number(seed, school.school_code, monday, "late") % 10)
