"""What an export should hold, what it holds, and why the rest is missing."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from psycopg import sql

from collection.exporting.queries import matching
from collection.exporting.selection import Selection
from collection.exporting.snapshot import Snapshot
from collection.models import Dataset

# A week of a school without entries, and what is known about it: the last fetch that asked for it.
_MISSING = """
SELECT school.office_id, school.code, school.name, school.level, week.monday,
       CASE WHEN stored.entries = 0 THEN 'no_data'
            WHEN school.closed_at IS NOT NULL AND (last.state IS NULL OR last.state <> 'held')
                 THEN 'closed'
            WHEN last.state IS NULL THEN 'never_tried'
            WHEN last.state IN ('succeeded', 'empty') THEN 'no_data'
            WHEN last.state IN ('waiting', 'running') THEN 'under_way'
            ELSE last.state
        END AS reason,
       CASE WHEN last.state = 'failed' THEN last.error_class ELSE '' END AS error
  FROM collection_school AS school
 CROSS JOIN unnest({mondays}::date[]) AS week (monday)
  LEFT JOIN collection_schoolweek AS stored
    ON stored.school_id = school.id AND stored.monday = week.monday
  LEFT JOIN LATERAL (
       SELECT item.state, item.error_class
         FROM collection_schoolfetch AS item
         JOIN collection_run AS run ON run.id = item.run_id
        WHERE item.school_id = school.id
          AND week.monday >= run.first_monday AND week.monday < run.first_monday + 7 * run.weeks
        ORDER BY item.id DESC
        LIMIT 1
       ) AS last ON stored.entries IS DISTINCT FROM 0
 WHERE {matches} AND COALESCE(stored.entries, 0) = 0
 ORDER BY school.office_id, school.code, reason, error, week.monday
"""

_STORED = """
SELECT count(*) FILTER (WHERE stored.entries > 0),
       count(held.id) FILTER (WHERE stored.entries > 0),
       min(stored.checked_at) FILTER (WHERE stored.entries > 0),
       max(stored.checked_at) FILTER (WHERE stored.entries > 0)
  FROM collection_schoolweek AS stored
  JOIN collection_school AS school ON school.id = stored.school_id
  LEFT JOIN collection_heldweek AS held
    ON held.school_id = stored.school_id AND held.monday = stored.monday AND held.state = 'waiting'
 WHERE stored.monday = ANY({mondays}) AND {matches}
"""

_LAST_LIST = "SELECT max(finished_at) FROM collection_schoollistsync WHERE NOT refused"


def coverage(snapshot: Snapshot, selection: Selection) -> dict[str, Any]:
    """In school weeks: expected = collected + missing, where missing is counted by reason."""
    if selection.dataset is Dataset.SCHOOL_LIST:
        ((listed_at,),) = snapshot.fetch(sql.SQL(_LAST_LIST))
        return {"list_of": _moment(listed_at)}
    parts = {"mondays": sql.Literal(list(selection.mondays)), "matches": matching(selection)}
    missing = snapshot.fetch(sql.SQL(_MISSING).format(**parts))
    ((collected, held, first, last),) = snapshot.fetch(sql.SQL(_STORED).format(**parts))
    return {
        "unit": "one school in one week",
        "expected": collected + len(missing),
        "collected": collected,
        "missing": dict(Counter(row[5] for row in missing)),
        "collected_but_newer_answer_held": held,
        "checked_first": _moment(first),
        "checked_last": _moment(last),
        "missing_schools": list(_by_school(missing)),
    }


def _by_school(missing: Iterable[tuple[Any, ...]]) -> Iterable[dict[str, Any]]:
    """Rows of one school with one reason lie beside each other: they become one with weeks."""
    entry: dict[str, Any] = {}
    for office, code, name, level, monday, reason, error in missing:
        known = {"office_code": office, "school_code": code, "school": name, "level": level,
                 "reason": reason, "error": error}  # fmt: skip
        if entry and all(entry[key] == value for key, value in known.items()):
            entry["weeks"].append(monday.isoformat())
            continue
        if entry:
            yield entry
        entry = {**known, "weeks": [monday.isoformat()]}
    if entry:
        yield entry


def _moment(value: Any) -> str | None:
    return value.isoformat() if value else None
