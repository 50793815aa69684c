"""What is deleted by age, and what is made ahead. Safe to be stopped and begun again anywhere."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction

from collection import partitions
from collection.models import OPEN_RUN_STATES, Run
from collection.planning import first_monday_at, window

logger = logging.getLogger(__name__)

WEEKS_AHEAD = 8
NEWEST_KEPT = 4
_BATCH = 5000
_TRIES = 5
_PAUSE_SECONDS = 2.0

# Runs that are over, and of which no held week still waits.
_OLD_FETCHES = """
SELECT item.id FROM collection_schoolfetch AS item
  JOIN collection_run AS run ON run.id = item.run_id
 WHERE run.finished_at < %(before)s
   AND NOT EXISTS (SELECT 1 FROM collection_heldweek AS held
                    WHERE held.fetch_id = item.id AND held.state = 'waiting')
"""
# In the order in which rows point at each other.
_HISTORY = (
    ("collection_rejectedrow", f"fetch_id IN ({_OLD_FETCHES})"),
    ("collection_heldweek", f"fetch_id IN ({_OLD_FETCHES})"),
    ("collection_attempt", f"fetch_id IN ({_OLD_FETCHES})"),
    ("collection_schoolfetch", f"id IN ({_OLD_FETCHES})"),
    (
        "collection_run",
        "finished_at < %(before)s AND NOT EXISTS"
        " (SELECT 1 FROM collection_schoolfetch AS item WHERE item.run_id = collection_run.id)",
    ),
    (
        "collection_schoollistissue",
        "sync_id IN (SELECT id FROM collection_schoollistsync WHERE started_at < %(before)s)",
    ),
    ("collection_schoollistsync", "started_at < %(before)s"),
    ("collection_keyusage", "day < %(before)s::date"),
    (
        "collection_alertmessage",
        "alert_id IN (SELECT id FROM collection_alert WHERE closed_at < %(before)s)",
    ),
    ("collection_alert", "closed_at < %(before)s"),
)
# Columns that point at rows which are about to go, and only remember them.
_FORGET = (
    ("collection_schoolweek", "changed_by_id", "collection_run"),
    ("collection_run", "retry_of_id", "collection_run"),
    ("collection_schoolfetch", "retried_by_id", "collection_schoolfetch"),
    ("collection_alert", "run_id", "collection_run"),
    ("collection_upstreamstate", "probe_id", "collection_schoolfetch"),
)


@dataclass(frozen=True, slots=True)
class Removed:
    weeks: Sequence[date]
    rows: dict[str, int]


def apply(now: datetime) -> Removed:
    """Makes the partitions of the weeks to come, then removes what the settings call old."""
    this_monday = first_monday_at(now, offset=0)
    partitions.ensure(window(this_monday, WEEKS_AHEAD))
    weeks, rows = settings.RETENTION_WEEKS, settings.HISTORY_DAYS
    return Removed(
        weeks=drop_weeks(before=this_monday - timedelta(weeks=weeks)) if weeks else [],
        rows=delete_history(before=now - timedelta(days=rows)) if rows else {},
    )


def drop_weeks(*, before: date) -> list[date]:
    """Drops stored weeks with all that is known of them; returns which.

    Never one of the newest, and never one that an open run may write to. A week that readers do
    not let go of in time is left for the next night.
    """
    newest = set(sorted(partitions.existing())[-NEWEST_KEPT:])
    old = sorted(monday for monday in partitions.existing() - newest - _in_use() if monday < before)
    return [monday for monday in old if _drop(monday)]


def _in_use() -> set[date]:
    open_runs = Run.objects.filter(state__in=OPEN_RUN_STATES)
    return {
        monday
        for first, weeks in open_runs.values_list("first_monday", "weeks")
        for monday in window(first, weeks)
    }


def _drop(monday: date) -> bool:
    for _ in range(_TRIES):
        try:
            partitions.drop(monday)
        except OperationalError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
    logger.warning("The week of %s is in use: it is dropped another time.", monday)
    return False


def delete_history(*, before: datetime) -> dict[str, int]:
    """Deletes in small transactions; returns how many rows of each table."""
    return {table: _delete(table, condition, before) for table, condition in _HISTORY}


def _delete(table: str, condition: str, before: datetime) -> int:
    deleted = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {table} WHERE {condition} LIMIT {_BATCH}", {"before": before}
            )
            ids = [pk for (pk,) in cursor.fetchall()]
            if not ids:
                return deleted
            for other, column, points_at in _FORGET:
                if points_at == table:
                    cursor.execute(
                        f"UPDATE {other} SET {column} = NULL WHERE {column} = ANY(%s)", [ids]
                    )
            cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s)", [ids])
            deleted += cursor.rowcount
