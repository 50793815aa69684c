"""Which part of the system was seen at work, by the database's clock."""

from datetime import datetime, timedelta

from django.db.models.functions import Now

from collection.models import Heartbeat

SCHEDULER = "scheduler"
WATCHER = "watcher"
SILENT_AFTER = timedelta(seconds=30)


def seen() -> dict[str, datetime]:
    """When each part was last seen; one that never was is missing."""
    return dict(Heartbeat.objects.values_list("name", "seen_at"))


def is_silent(name: str) -> bool:
    """Also true of a part that was never seen."""
    seen = Heartbeat.objects.filter(name=name, seen_at__gt=Now() - SILENT_AFTER)
    return not seen.exists()
