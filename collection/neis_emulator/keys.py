"""The API keys of the emulator: their limits, and what becomes of them at run time."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from .clock import Clock


class KeyRing:
    """Keys are known by their index from here on; their text is never given out again."""

    def __init__(self, keys: Sequence[str], clock: Clock, daily_limit: int | None = None) -> None:
        self._index = {key: index for index, key in enumerate(keys)}
        self._clock = clock
        self._day: date = clock.today()
        self.calls: Counter[int] = Counter()
        """Calls of today by key."""
        self.daily_limit = daily_limit
        self.blocked: set[int] = set()
        self.revoked: set[int] = set()

    def index_of(self, key: str) -> int | None:
        return self._index.get(key)

    def use(self, key: str) -> str | None:
        """Count one call; the result code that refuses it, or None."""
        if key == "":
            return "ERROR-300"
        index = self._index.get(key)
        if index is None or index in self.revoked:
            return "ERROR-290"
        if index in self.blocked:
            return "INFO-300"
        self._begin_day()
        if self.daily_limit is not None and self.calls[index] >= self.daily_limit:
            return "ERROR-337"
        self.calls[index] += 1
        return None

    def reset(self) -> None:
        """Give every key its whole day again; blocked and revoked keys stay so."""
        self.calls.clear()

    def restore(self) -> None:
        """Unblock and give back all keys."""
        self.blocked.clear()
        self.revoked.clear()

    def state(self) -> dict[str, object]:
        self._begin_day()
        return {
            "keys": len(self._index),
            "daily_limit": self.daily_limit,
            "calls_today": {str(index): calls for index, calls in sorted(self.calls.items())},
            "blocked": sorted(self.blocked),
            "revoked": sorted(self.revoked),
        }

    def _begin_day(self) -> None:
        today = self._clock.today()
        if today != self._day:
            self._day = today
            self.reset()
