"""Weekly patterns: what a class is taught in each period, rendered once and shared by classes."""

from functools import lru_cache

import orjson

from .dice import generator

Cell = bytes
"""The wire's `"PERIO":"1","ITRT_CNTNT":"국어"`."""
Week = tuple[tuple[Cell, ...], ...]
"""The cells of Monday to Friday."""
VARIANTS = 24


@lru_cache(maxsize=65_536)
def render_cell(period: int, subject: str | None) -> Cell:
    return b'"PERIO":"%d","ITRT_CNTNT":%b' % (period, orjson.dumps(subject))


def period_of(cell: Cell) -> int:
    return int(cell[9 : cell.index(b'"', 9)])


@lru_cache(maxsize=16_384)
def weekly_pattern(
    seed: int,
    subjects: tuple[str, ...],
    hours: int,
    variant: int,
    parallel: float = 0.0,
    mark: str = "",
) -> Week:
    """Five days of `hours` periods in all; `parallel` is the share of cells with two subjects."""
    rng = generator(seed, "pattern", subjects, hours, variant)
    return tuple(
        tuple(
            render_cell(period, mark + subject)
            for period in range(1, periods + 1)
            for subject in rng.sample(subjects, 2 if rng.random() < parallel else 1)
        )
        for periods in periods_by_day(hours)
    )


def periods_by_day(hours: int) -> list[int]:
    """Periods of Monday to Friday; the longer days come first."""
    base, longer = divmod(hours, 5)
    return [base + (day < longer) for day in range(5)]
