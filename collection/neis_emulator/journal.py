"""What was asked and how it ended: the witness that tests question. It never sees a key."""

import time
from collections import Counter, deque
from typing import Any

MOST_ENTRIES = 200_000


class Journal:
    def __init__(self) -> None:
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=MOST_ENTRIES)
        self._outcomes: Counter[str] = Counter()
        self._services: Counter[str] = Counter()
        self._seconds: Counter[int] = Counter()
        self.most_in_flight = self.in_flight

    def begin(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def end(self) -> None:
        self.in_flight -= 1

    def note(self, *, service: str, school: str, page: int, key: int | None, outcome: str) -> None:
        now = time.time()
        self._entries.append(
            {
                "at": now,
                "service": service,
                "school": school,
                "page": page,
                "key": key,
                "outcome": outcome,
            }
        )
        self._outcomes[outcome] += 1
        self._services[service] += 1
        self._seconds[int(now)] += 1

    def summary(self) -> dict[str, Any]:
        return {
            "requests": sum(self._services.values()),
            "by_service": dict(self._services),
            "by_outcome": dict(self._outcomes),
            "most_in_flight": self.most_in_flight,
            "most_in_a_second": max(self._seconds.values(), default=0),
        }

    def entries(self) -> list[dict[str, Any]]:
        return list(self._entries)
