"""The emulator's own time, in Korea; it stands still unless told to tick."""

from datetime import date, datetime, timedelta, timezone
from time import monotonic

KST = timezone(timedelta(hours=9), "KST")
DEFAULT_NOW = datetime(2026, 6, 10, 21, 0, tzinfo=KST)


class Clock:
    """Time in KST that can be set and moved by a test."""

    def __init__(self, now: datetime = DEFAULT_NOW, *, ticking: bool = False) -> None:
        self.ticking = ticking
        self.set(now)

    def set(self, now: datetime) -> None:
        """Stand at this moment; a naive one is taken as Korean time."""
        self._start = now.replace(tzinfo=KST) if now.tzinfo is None else now.astimezone(KST)
        self._since = monotonic()

    def advance(self, delta: timedelta) -> None:
        self.set(self.now() + delta)

    def now(self) -> datetime:
        if not self.ticking:
            return self._start
        return self._start + timedelta(seconds=monotonic() - self._since)

    def today(self) -> date:
        return self.now().date()
