"""What is stored of each week against what is expected, recomputed from the truth.

No count is kept up by adding and taking away: the weeks that may have changed are counted anew.
A school is expected in a week when it had been founded by then and had not left the list, or
when something is stored for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from collection.clock import database_now
from collection.models import Coverage, CoverageCell, Heartbeat

HEARTBEAT = "coverage"
"""The heartbeat's time is the one as of which every cell is exact."""

_LOCK_KEY = 7_305_040
# A transaction counts from its beginning and is seen at its end; none lasts longer than this.
_LONGEST_TRANSACTION = timedelta(minutes=2)

# One row for each expected school. A fetch is told only where a later one has not mended it.
_SCHOOLS = """
WITH covering AS (
    SELECT array_agg(id) AS runs FROM collection_run
     WHERE dataset = 'timetable' AND first_monday <= %(monday)s
       AND first_monday > %(monday)s::date - 7 * weeks
), failed AS (
    SELECT DISTINCT ON (item.school_id) item.school_id, item.id
      FROM collection_schoolfetch AS item
     WHERE item.state = 'failed' AND item.run_id = ANY((SELECT runs FROM covering)::bigint[])
       AND NOT EXISTS (
           SELECT 1 FROM collection_schoolfetch AS later
            WHERE later.run_id = ANY((SELECT runs FROM covering)::bigint[])
              AND later.school_id = item.school_id AND later.id > item.id
              AND later.state IN ('succeeded', 'empty', 'held'))
     ORDER BY item.school_id, item.id DESC
)
SELECT school.id AS school_id, school.office_id, school.level, school.name,
       CASE WHEN held.id IS NOT NULL THEN 'held'
            WHEN stored.entries > 0 THEN 'collected'
            WHEN failed.id IS NOT NULL THEN 'failed'
            WHEN stored.entries = 0 THEN 'empty'
            ELSE 'untried' END AS coverage,
       stored.checked_at, stored.changed_at, failed.id AS failed_id
  FROM collection_school AS school
  LEFT JOIN collection_schoolweek AS stored
    ON stored.school_id = school.id AND stored.monday = %(monday)s
  LEFT JOIN collection_heldweek AS held
    ON held.school_id = school.id AND held.monday = %(monday)s AND held.state = 'waiting'
  LEFT JOIN failed ON failed.school_id = school.id
 WHERE (%(office)s = '' OR school.office_id = %(office)s)
   AND (%(level)s = '' OR school.level = %(level)s)
   AND (%(school)s::bigint IS NULL OR school.id = %(school)s)
   AND (stored.entries > 0
        OR ((school.founded_on IS NULL OR school.founded_on < %(monday)s::date + 7)
            AND (school.closed_at IS NULL
                 OR (school.closed_at AT TIME ZONE 'Asia/Seoul')::date > %(monday)s)))
"""

_COUNTS = ", ".join(f"count(*) FILTER (WHERE coverage = '{kind}') AS {kind}" for kind in Coverage)

# Counts and schools from one reading of the week; the counts are there when no school is.
_WEEK = f"""
WITH schools AS MATERIALIZED ({_SCHOOLS}), chosen AS (
    SELECT * FROM schools WHERE coverage = ANY(%(kinds)s)
     ORDER BY office_id, level, name, school_id LIMIT %(most)s
)
SELECT counted.*, school_id, coverage, checked_at, changed_at, failed_id
  FROM (SELECT {_COUNTS} FROM schools) AS counted LEFT JOIN chosen ON true
 ORDER BY office_id, level, name, school_id
"""

_STORE = f"""
WITH counted AS (
    SELECT office_id, level, {_COUNTS}
      FROM ({_SCHOOLS}) AS schools
     GROUP BY office_id, level
), gone AS (
    DELETE FROM collection_coveragecell
     WHERE monday = %(monday)s
       AND (office_id, level) NOT IN (SELECT office_id, level FROM counted)
)
INSERT INTO collection_coveragecell AS cell (office_id, level, monday, {", ".join(Coverage)})
SELECT office_id, level, %(monday)s, {", ".join(Coverage)} FROM counted
    ON CONFLICT (monday, office_id, level) DO UPDATE
   SET {", ".join(f"{kind} = excluded.{kind}" for kind in Coverage)}
 WHERE ({", ".join(f"cell.{kind}" for kind in Coverage)})
    IS DISTINCT FROM ({", ".join(f"excluded.{kind}" for kind in Coverage)})
"""

_STORE_FRESHNESS = """
INSERT INTO collection_schoolfreshness AS known (school_id, checked_at, changed_at)
SELECT week.school_id, max(week.checked_at), max(week.changed_at)
  FROM collection_schoolweek AS week
 WHERE week.monday = %(monday)s
 GROUP BY week.school_id
    ON CONFLICT (school_id) DO UPDATE
   SET checked_at = GREATEST(known.checked_at, excluded.checked_at),
       changed_at = GREATEST(known.changed_at, excluded.changed_at)
 WHERE known.checked_at < excluded.checked_at OR known.changed_at < excluded.changed_at
"""

_WEEKS_OF_RUNS = """
SELECT DISTINCT run.first_monday + 7 * week
  FROM collection_run AS run, generate_series(0, run.weeks - 1) AS week
 WHERE run.dataset = 'timetable' AND run.state <> 'skipped'
   AND (%(since)s::timestamptz IS NULL OR run.finished_at IS NULL OR run.finished_at >= %(since)s)
"""

_WEEKS_OF_DECISIONS = """
SELECT DISTINCT monday FROM collection_heldweek WHERE decided_at >= %(since)s
"""

_LIST_CHANGED = """
SELECT EXISTS (SELECT 1 FROM collection_schoollistsync
                WHERE finished_at >= %(since)s AND added + changed + closed > 0)
"""

_WEEKS_STORED = "SELECT DISTINCT monday FROM collection_schoolweek"


@dataclass(frozen=True, slots=True)
class SchoolCoverage:
    """One school in one week; `failed_id` is the fetch that failed, if the last one did."""

    school_id: int
    coverage: Coverage
    checked_at: datetime | None
    changed_at: datetime | None
    failed_id: int | None


def of_week(
    monday: date,
    *,
    office: str = "",
    level: str = "",
    school_id: int | None = None,
    kinds: Iterable[Coverage] = Coverage,
    most: int | None = None,
) -> tuple[dict[Coverage, int], list[SchoolCoverage]]:
    """The expected schools of the week from the truth: counted, and those of `kinds` by office,
    level and name, at `most`."""
    chosen = _parameters(monday, office, level, school_id)
    with connection.cursor() as cursor:
        cursor.execute(_WEEK, {**chosen, "kinds": [str(kind) for kind in kinds], "most": most})
        rows = cursor.fetchall()
    counts = dict(zip(Coverage, rows[0], strict=False))
    schools = [row[len(Coverage) :] for row in rows]
    return counts, [
        SchoolCoverage(school[0], Coverage(school[1]), *school[2:])
        for school in schools
        if school[0] is not None
    ]


def _parameters(
    monday: date, office: str = "", level: str = "", school_id: int | None = None
) -> dict[str, Any]:
    return {"monday": monday, "office": office, "level": level, "school": school_id}


def refresh() -> list[date]:
    """Counts the weeks anew that may have changed since the last refresh; returns them.

    One caller works at a time, the others return at once.
    """
    with transaction.atomic():
        if not _alone():
            return []
        now, last = database_now(), as_of()
        mondays = _changed_since(last)
        if last is None:
            CoverageCell.objects.exclude(monday__in=mondays).delete()
        for monday in mondays:
            _count(monday)
        Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"seen_at": now})
    return mondays


def forget() -> None:
    """The next refresh counts every week anew: for what deletes rows that were counted."""
    Heartbeat.objects.filter(name=HEARTBEAT).delete()


def as_of() -> datetime | None:
    """None: the cells were never counted."""
    return Heartbeat.objects.filter(name=HEARTBEAT).values_list("seen_at", flat=True).first()


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK_KEY])
        return bool(cursor.fetchone()[0])


def _changed_since(last: datetime | None) -> list[date]:
    since = last and last - _LONGEST_TRANSACTION
    with connection.cursor() as cursor:
        cursor.execute(_LIST_CHANGED, {"since": since})
        if since is None or cursor.fetchone()[0]:
            since = None
            cursor.execute(f"{_WEEKS_STORED} UNION {_WEEKS_OF_RUNS}", {"since": since})
        else:
            cursor.execute(f"{_WEEKS_OF_RUNS} UNION {_WEEKS_OF_DECISIONS}", {"since": since})
        return sorted(monday for (monday,) in cursor.fetchall())


def _count(monday: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_STORE, _parameters(monday))
        cursor.execute(_STORE_FRESHNESS, _parameters(monday))
