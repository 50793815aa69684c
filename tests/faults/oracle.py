"""Is what is stored what the emulator knows to be right? Asks the database, and nothing of ours."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

from collection.neis_emulator import School, World
from tests.e2e import truth
from tests.faults.servers import Database

_STORED = """
SELECT school.code, date_trunc('week', entry.date)::date,
       ARRAY[academic_year::text, semester::text, date::text, grade::text, class_name, course,
             day_night, track, department, classroom, period::text, subject, entry.loaded_on::text]
  FROM collection_timetableentry AS entry JOIN collection_school AS school
    ON school.id = entry.school_id
"""
# Numbers that must all be 0, whatever was broken meanwhile.
_LEDGER_RULES = {
    "open fetches": """
        SELECT count(*) FROM collection_schoolfetch WHERE state IN ('waiting', 'running')""",
    "fetches stored more than once": """
        SELECT count(*) FROM (
            SELECT fetch_id FROM witness.fetches WHERE new IN ('succeeded', 'empty', 'held')
             GROUP BY fetch_id HAVING count(*) > 1) AS doubled""",
    "fetches that left a final state": """
        SELECT count(*) FROM witness.fetches WHERE old NOT IN ('waiting', 'running')""",
    "runs not finished exactly once": """
        SELECT count(*) FROM collection_run AS run
         WHERE state <> 'skipped' AND 1 <> (SELECT count(*) FROM witness.runs
                      WHERE run_id = run.id AND new IN ('completed', 'incomplete', 'cancelled'))""",
    "fetches whose counts do not add up": """
        SELECT count(*) FROM collection_schoolfetch
         WHERE received <> stored + unchanged + held + duplicate + rejected""",
    "weeks whose count is not that of their entries": """
        SELECT count(*) FROM collection_schoolweek AS week
         WHERE entries <> (SELECT count(*) FROM collection_timetableentry AS entry
                            WHERE entry.school_id = week.school_id
                              AND date >= monday AND date < monday + 7)""",
}

Week = tuple[str, date]
"""School code and Monday."""


@dataclass
class Expectation:
    """What must be stored when all is over."""

    world: World
    mondays: Sequence[date]
    revisions: dict[str, int | None] = field(default_factory=dict)
    """Schools that are not at the world's revision; None: nothing is stored of them."""
    failed: set[str] = field(default_factory=set)
    """Schools whose fetches may end in `failed`."""

    def weeks(self) -> Iterator[tuple[Week, Counter[truth.Line]]]:
        for school in self.world.schools:
            for monday in self.mondays:
                yield (school.school_code, monday), self._lines(school, monday)

    def _lines(self, school: School, monday: date) -> Counter[truth.Line]:
        now = self.world.revision
        revision = self.revisions.get(school.school_code, now)
        if revision is None:
            return Counter()
        self.world.revision = revision
        try:
            return truth.of_schools(self.world, [school], [monday])
        finally:
            self.world.revision = now


@dataclass
class Verdict:
    """School weeks by what is wrong with them, and rules of the ledger that do not hold."""

    missing: int = 0
    doubled: int = 0
    wrong: int = 0
    extra: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.doubled or self.wrong or self.extra or self.broken)

    def note(self, stored: Counter[truth.Line], expected: Counter[truth.Line]) -> None:
        if stored == expected:
            return
        if not stored:
            self.missing += 1
        elif not expected:
            self.extra += 1
        elif any(expected[line] and count > expected[line] for line, count in stored.items()):
            self.doubled += 1
        else:
            self.wrong += 1


def judge(database: Database, expectation: Expectation, *, folder: Path, secret: str) -> Verdict:
    verdict = Verdict()
    stored = read_stored(database)
    for week, expected in expectation.weeks():
        verdict.note(stored.pop(week, Counter()), expected)
    verdict.extra += len(stored)
    verdict.broken += _broken_rules(database, expectation)
    verdict.broken += [f"the key is in {place}" for place in leaks(database, folder, secret)]
    return verdict


def read_stored(database: Database, school: str = "") -> Mapping[Week, Counter[truth.Line]]:
    only = " WHERE school.code = %s" if school else ""
    stored: dict[Week, Counter[truth.Line]] = defaultdict(Counter)
    for code, monday, columns in database.rows(_STORED + only, *([school] if school else [])):
        stored[code, monday][code, *(value or "" for value in columns)] += 1
    return stored


def _broken_rules(database: Database, expectation: Expectation) -> Iterator[str]:
    for rule, statement in _LEDGER_RULES.items():
        if found := database.value(statement):
            yield f"{found} {rule}"
    planned = (
        "SELECT run_id, count(*), count(DISTINCT school_id) FROM collection_schoolfetch AS item"
        "  JOIN collection_run AS run ON run.id = item.run_id"
        " WHERE dataset = 'timetable' AND retry_of_id IS NULL GROUP BY 1"
    )
    for run, fetches, schools in database.rows(planned):
        if fetches != schools or fetches != _planned(database, run, expectation):
            yield f"run {run} has {fetches} fetches for {schools} schools"
    failed = database.rows(
        "SELECT DISTINCT school.code FROM collection_schoolfetch AS item"
        "  JOIN collection_school AS school ON school.id = item.school_id"
        " WHERE item.state = 'failed'"
    )
    if unexpected := {code for (code,) in failed} - expectation.failed:
        yield f"{len(unexpected)} schools failed: {', '.join(sorted(unexpected)[:3])}"


def _planned(database: Database, run: int, expectation: Expectation) -> int:
    levels = database.value("SELECT levels FROM collection_run WHERE id = %s", run)
    return sum(not levels or school.level in levels for school in expectation.world.schools)


def leaks(database: Database, folder: Path, secret: str) -> list[str]:
    """Where a form of the key stands: in files of the folder and in every table."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    needles = [form.encode() for form in forms]
    found = [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and _holds(_content(path), needles)
    ]
    tables = database.rows(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname IN ('public', 'witness')"
        "   AND tablename NOT LIKE 'collection_timetableentry%'"
    )
    with database.connect() as connection:
        for (table,) in tables:
            with connection.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as copy:
                if any(_holds(bytes(block), needles) for block in copy):
                    found.append(f"table {table}")
    return found


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _holds(data: bytes, needles: Sequence[bytes]) -> bool:
    return any(needle in data for needle in needles)


def least_requests(world: World, mondays: Sequence[date], page_size: int = 1000) -> int:
    """What a client needs that asks for nothing twice."""
    total = 0
    for school in world.schools:
        rows = world.timetable(school, mondays[0], mondays[-1] + timedelta(days=6))
        total += max(1, -(-len(rows) // page_size))
    return total
