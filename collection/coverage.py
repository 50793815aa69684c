"""What is stored of each week against what is expected, recomputed from the truth.

No count is kept up by adding and taking away: the weeks that may have changed are counted anew.
A school is expected in a week when it had been founded by then and had not left the list, or
when something is stored for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction

from collection.clock import database_now
from collection.models import Coverage, Heartbeat

HEARTBEAT = "coverage"
"""The heartbeat's time is the one as of which every cell is exact."""

_LOCK_KEY = 7_305_040
# A transaction counts from its beginning and is seen at its end; none lasts longer than this.
_LONGEST_TRANSACTION = timedelta(minutes=2)

# One row for each expected school and week of %(mondays)s. What was fetched last is looked up for
# those alone that have nothing stored.
_SCHOOLS = """
SELECT school.id AS school_id, school.office_id, school.level, week.monday,
       CASE WHEN held.id IS NOT NULL THEN 'held'
            WHEN stored.entries > 0 THEN 'collected'
            WHEN last.state = 'failed' THEN 'failed'
            WHEN stored.entries = 0 THEN 'empty'
            ELSE 'untried' END AS coverage,
       stored.checked_at, stored.changed_at, last.id AS fetch_id
  FROM unnest(%(mondays)s::date[]) AS week (monday)
  JOIN collection_school AS school
    ON (%(office)s = '' OR school.office_id = %(office)s)
   AND (%(level)s = '' OR school.level = %(level)s)
   AND (%(school)s::bigint IS NULL OR school.id = %(school)s)
  LEFT JOIN collection_schoolweek AS stored
    ON stored.school_id = school.id AND stored.monday = week.monday
  LEFT JOIN collection_heldweek AS held
    ON held.school_id = school.id AND held.monday = week.monday AND held.state = 'waiting'
  LEFT JOIN LATERAL (
    SELECT fetch.id, fetch.state
      FROM collection_run AS run
      JOIN collection_schoolfetch AS fetch ON fetch.run_id = run.id AND fetch.school_id = school.id
     WHERE run.dataset = 'timetable' AND run.first_monday <= week.monday
       AND run.first_monday > week.monday - 7 * run.weeks
       AND fetch.state IN ('succeeded', 'empty', 'held', 'failed')
       AND held.id IS NULL AND COALESCE(stored.entries, 0) = 0
     ORDER BY fetch.id DESC LIMIT 1
  ) AS last ON true
 WHERE stored.entries > 0
    OR ((school.founded_on IS NULL OR school.founded_on < week.monday + 7)
        AND (school.closed_at IS NULL
             OR (school.closed_at AT TIME ZONE 'Asia/Seoul')::date > week.monday))
"""

_STORE = f"""
WITH counted AS (
    SELECT office_id, level, monday,
           {", ".join(f"count(*) FILTER (WHERE coverage = '{kind}') AS {kind}" for kind in Coverage)}
      FROM ({_SCHOOLS}) AS schools
     GROUP BY office_id, level, monday
), gone AS (
    DELETE FROM collection_coveragecell AS cell
     WHERE monday = ANY(%(mondays)s)
       AND NOT EXISTS (SELECT 1 FROM counted
                        WHERE (counted.office_id, counted.level, counted.monday)
                            = (cell.office_id, cell.level, cell.monday))
)
INSERT INTO collection_coveragecell AS cell (office_id, level, monday, {", ".join(Coverage)})
SELECT office_id, level, monday, {", ".join(Coverage)} FROM counted
    ON CONFLICT (monday, office_id, level) DO UPDATE
   SET {", ".join(f"{kind} = excluded.{kind}" for kind in Coverage)}
 WHERE ({", ".join(f"cell.{kind}" for kind in Coverage)})
    IS DISTINCT FROM ({", ".join(f"excluded.{kind}" for kind in Coverage)})
"""

_STORE_FRESHNESS = """
INSERT INTO collection_schoolfreshness AS known (school_id, checked_at, changed_at)
SELECT week.school_id, max(week.checked_at), max(week.changed_at)
  FROM collection_schoolweek AS week
 WHERE week.monday = ANY(%(mondays)s)
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

_WEEKS_KNOWN = """
SELECT DISTINCT monday FROM collection_coveragecell UNION SELECT DISTINCT monday FROM collection_schoolweek
"""


@dataclass(frozen=True, slots=True)
class SchoolCoverage:
    """One school in one week; `fetch_id` is the fetch that last ended, where nothing is stored."""

    school_id: int
    coverage: Coverage
    checked_at: datetime | None
    changed_at: datetime | None
    fetch_id: int | None


def of_schools(
    monday: date, *, office: str = "", level: str = "", school_id: int | None = None
) -> list[SchoolCoverage]:
    """Every expected school of the week, from the truth. Nothing chosen: all."""
    chosen = {"mondays": [monday], "office": office, "level": level, "school": school_id}
    with connection.cursor() as cursor:
        cursor.execute(_SCHOOLS, chosen)
        return [
            SchoolCoverage(school_id, Coverage(coverage), checked_at, changed_at, fetch_id)
            for school_id, _, _, _, coverage, checked_at, changed_at, fetch_id in cursor
        ]


def refresh() -> list[date]:
    """Counts the weeks anew that may have changed since the last refresh; returns them.

    One caller works at a time, the others return at once.
    """
    with transaction.atomic():
        if not _alone():
            return []
        now = database_now()
        mondays = _changed_since(as_of())
        for monday in mondays:
            _count([monday])
        Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"seen_at": now})
    return mondays


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
            cursor.execute(f"{_WEEKS_KNOWN} UNION {_WEEKS_OF_RUNS}", {"since": since})
        else:
            cursor.execute(f"{_WEEKS_OF_RUNS} UNION {_WEEKS_OF_DECISIONS}", {"since": since})
        return sorted(monday for (monday,) in cursor)


def _count(mondays: Sequence[date]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE, {"mondays": list(mondays), "office": "", "level": "", "school": None}
        )
        cursor.execute(_STORE_FRESHNESS, {"mondays": list(mondays)})
