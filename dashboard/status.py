"""What every page shows: which environment this is, whether the scheduler is alive, and whether
collecting is stopped."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest

from collection import heartbeats, stopping


@dataclass(frozen=True, slots=True)
class Status:
    """`scheduler_seen_at` is None when no scheduler was ever seen."""

    scheduler_seen_at: datetime | None
    stopped_at: datetime | None
    now: datetime

    @property
    def scheduler_is_silent(self) -> bool:
        seen_at = self.scheduler_seen_at
        return seen_at is None or self.now - seen_at > heartbeats.SILENT_AFTER


def read_status(*, now: datetime) -> Status:
    return Status(
        scheduler_seen_at=heartbeats.seen().get(heartbeats.SCHEDULER),
        stopped_at=stopping.stopped_since(),
        now=now,
    )


def environment(request: HttpRequest) -> list[str] | None:
    """The label beside the user's menu, as Unfold asks for it."""
    if settings.ENVIRONMENT_NAME:
        return [settings.ENVIRONMENT_NAME, "info"]
    return None
