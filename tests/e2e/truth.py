"""What the emulator says a timetable is, in the columns of the export."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from collection.neis_emulator import School, World

Line = tuple[str, ...]

_FIELDS = (
    "AY", "SEM", "ALL_TI_YMD", "GRADE", "CLASS_NM", "SCHUL_CRSE_SC_NM", "DGHT_CRSE_SC_NM",
    "ORD_SC_NM", "DDDEP_NM", "CLRM_NM", "PERIO", "ITRT_CNTNT", "LOAD_DTM",
)  # fmt: skip
_FIRST_TIMETABLE_COLUMN = 5


def of_schools(world: World, schools: Iterable[School], mondays: Sequence[date]) -> Counter[Line]:
    """School code and the columns from academic_year on; null and "" are both ""."""
    return Counter(
        (school.school_code, *_line(row))
        for school in schools
        for monday in mondays
        for row in world.truth(school.office_code, school.school_code, monday)
    )


def _line(row: dict[str, str | None]) -> list[str]:
    values = {name: (row.get(name) or "").replace("\0", "") for name in _FIELDS}
    for name in ("ALL_TI_YMD", "LOAD_DTM"):
        day = values[name]
        values[name] = f"{day[:4]}-{day[4:6]}-{day[6:8]}"
    return list(values.values())


def of_file(path: Path) -> Counter[Line]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        assert header[2] == "school_code"
        assert header[_FIRST_TIMETABLE_COLUMN] == "academic_year"
        return Counter((row[2], *row[_FIRST_TIMETABLE_COLUMN:]) for row in rows)
