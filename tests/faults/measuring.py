"""What a scenario costs while it goes on: memory, connections, and how soon work goes on again."""

import contextlib
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg
import redis

from tests.faults.servers import Database

_EVERY_SECONDS = 1.0


@dataclass
class Sampler:
    """Looks once a second until stopped; what can't be reached just then is left out."""

    database: Database
    redis: redis.Redis
    processes: Any
    """Called for the psutil processes of the product."""
    peaks: dict[str, float] = field(default_factory=dict)
    rss: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of time.time(), MB of all processes of the product."""

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)
        self._database = Database(self.database._server, self.database.name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(20)
        self._database.close()

    def _work(self) -> None:
        while not self._end.wait(_EVERY_SECONDS):
            with contextlib.suppress(redis.RedisError):
                told = self.redis.info()
                self._peak("Redis MB", told["used_memory"] / 1e6)
                self._peak("Redis connections", told["connected_clients"])
            with contextlib.suppress(psycopg.Error):
                self._look_at_backends()
            megabytes = sum(map(_rss, self.processes())) / 1e6
            self.rss.append((time.time(), megabytes))
            self._peak("RSS MB", megabytes)

    def _look_at_backends(self) -> None:
        ((backends, idle),) = self._database.rows(
            "SELECT count(*), COALESCE(extract(epoch FROM max(now() - state_change)"
            "  FILTER (WHERE state LIKE 'idle in transaction%')), 0)"
            "  FROM pg_stat_activity WHERE datname = current_database()"
            "   AND application_name <> 'witness'"
        )
        self._peak("PostgreSQL connections", backends)
        self._peak("idle in transaction s", float(idle))

    def _peak(self, name: str, value: float) -> None:
        self.peaks[name] = max(self.peaks.get(name, 0), value)


def _rss(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0


@dataclass
class Injected:
    """The faults that were injected, and when."""

    at: list[tuple[float, str]] = field(default_factory=list)

    def note(self, kind: str) -> None:
        self.at.append((time.time(), kind))

    def counts(self) -> dict[str, int]:
        return dict(Counter(kind for _, kind in self.at))

    def progress_seconds(self, ends: Iterable[float]) -> tuple[float, float] | None:
        """From each fault to the next fetch that ended: median and most. `ends` ascend."""
        gaps, times = [], list(ends)
        for at, _ in self.at:
            later = next((end for end in times if end > at), None)
            if later is not None:
                gaps.append(later - at)
        return (statistics.median(gaps), max(gaps)) if gaps else None
