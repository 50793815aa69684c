"""The partitions of the entries: one for each week, made ahead and dropped whole."""

from collections.abc import Iterable
from datetime import date, timedelta

from django.db import connection, transaction

_PARENT = "collection_timetableentry"
# Serialises the makers: two that attach the same week at once would collide.
_LOCK_KEY = 7_305_001


def name_of(monday: date) -> str:
    year, week, _ = monday.isocalendar()
    return f"{_PARENT}_{year}w{week:02}"


def ensure(mondays: Iterable[date]) -> None:
    """Makes what is missing. Attaching, unlike CREATE … PARTITION OF, lets readers go on."""
    missing = sorted(set(mondays) - existing())
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        known = existing()
        for monday in missing:
            if monday not in known:
                name, end = name_of(monday), monday + timedelta(weeks=1)
                cursor.execute(
                    f"CREATE TABLE {name} (LIKE {_PARENT} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
                )
                cursor.execute(
                    f"ALTER TABLE {_PARENT} ATTACH PARTITION {name}"
                    f" FOR VALUES FROM ('{monday}') TO ('{end}')"
                )


def drop(monday: date) -> None:
    """Takes a week away, with what is known of it, or changes nothing.

    Raises OperationalError when a reader or a writer is in the way for longer than a moment:
    behind a lock that waits, everybody waits.
    """
    name = name_of(monday)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        # First, so that whoever stores in the week has ended before its rows are looked for.
        cursor.execute(f"ALTER TABLE {_PARENT} DETACH PARTITION {name}")
        cursor.execute("DELETE FROM collection_schoolweek WHERE monday = %s", [monday])
        cursor.execute(
            "UPDATE collection_heldweek SET state = 'superseded', decided_at = now()"
            " WHERE monday = %s AND state = 'waiting'",
            [monday],
        )
        cursor.execute(f"DROP TABLE {name}")


def existing() -> set[date]:
    """The Mondays that have a partition."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [_PARENT],
        )
        names = [name.removeprefix(f"{_PARENT}_") for (name,) in cursor.fetchall()]
    return {date.fromisocalendar(int(name[:4]), int(name[5:]), 1) for name in names}
