"""What every page shows: which environment this is, whether the scheduler is alive, and whether
collecting is stopped."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest

from collection.models import Heartbeat, StopSwitch

SILENT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Status:
    """`scheduler_seen_at` is None when no scheduler was ever seen."""

    scheduler_seen_at: datetime | None
    stopped_at: datetime | None
    now: datetime

    @property
    def scheduler_is_silent(self) -> bool:
        return self.scheduler_seen_at is None or self.now - self.scheduler_seen_at > SILENT_AFTER


def read_status(*, now: datetime) -> Status:
    return Status(
        scheduler_seen_at=Heartbeat.objects.filter(name="scheduler")
        .values_list("seen_at", flat=True)
        .first(),
        stopped_at=StopSwitch.objects.values_list("stopped_at", flat=True).first(),
        now=now,
    )


def environment(request: HttpRequest) -> list[str] | None:
    """The label beside the user's menu, as Unfold asks for it."""
    if settings.ENVIRONMENT_NAME:
        return [settings.ENVIRONMENT_NAME, "info"]
    return None
