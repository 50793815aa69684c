"""The keys that the emulator knows, and how often each was used on the emulator's day."""

from collections import Counter
from collections.abc import Sequence

from .answering import Refusal
from .clock import Clock


class KeyDesk:
    """Keys are told apart by their place in the list: nothing else about them is kept."""

    def __init__(self, keys: Sequence[str], clock: Clock, *, daily_limit: int | None) -> None:
        self._numbers = {key: number for number, key in enumerate(keys)}
        self._clock = clock
        self._calls: Counter[tuple[object, int]] = Counter()
        self.daily_limit = daily_limit
        self.blocked: set[int] = set()
        self.revoked: set[int] = set()

    def admit(self, key: str | None) -> int | None:
        """The number of a key that may be used; None without one. Raises Refusal."""
        if key is None:
            return None
        if not key:
            raise Refusal("ERROR-300")
        number = self._numbers.get(key)
        if number is None or number in self.revoked:
            raise Refusal("ERROR-290")
        if number in self.blocked:
            raise Refusal("INFO-300")
        today = (self._clock.today(), number)
        if self.daily_limit is not None and self._calls[today] >= self.daily_limit:
            raise Refusal("ERROR-337")
        self._calls[today] += 1
        return number

    def forget_calls(self) -> None:
        self._calls.clear()

    def calls(self) -> dict[str, int]:
        return {f"{day} key {number}": calls for (day, number), calls in self._calls.items()}
