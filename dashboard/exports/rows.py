"""An export as its row of the list shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from collection.models import Dataset, Export, ExportState


@dataclass(frozen=True, slots=True)
class Progress:
    rows: int
    planned: int
    rows_per_second: float
    left: timedelta | None

    @property
    def percent(self) -> int:
        return min(99, self.rows * 100 // self.planned) if self.planned else 0


@dataclass(frozen=True, slots=True)
class Row:
    export: Export
    now: datetime

    @property
    def is_open(self) -> bool:
        return self.export.state in (ExportState.WAITING, ExportState.RUNNING)

    @property
    def is_offered(self) -> bool:
        return is_offered(self.export, now=self.now)

    @property
    def mondays(self) -> Sequence[str]:
        """The first and the last one."""
        first = self.export.first_monday
        if self.export.dataset == Dataset.SCHOOL_LIST or first is None:
            return ()
        last = first + timedelta(weeks=self.export.weeks - 1)
        return tuple(dict.fromkeys([first.isoformat(), last.isoformat()]))

    @property
    def progress(self) -> Progress | None:
        export = self.export
        if export.state != ExportState.RUNNING or export.claimed_at is None:
            return None
        seconds = max((self.now - export.claimed_at).total_seconds(), 0.001)
        rate = export.rows / seconds
        missing = max(0, export.planned_rows - export.rows)
        left = timedelta(seconds=round(missing / rate)) if rate else None
        return Progress(export.rows, export.planned_rows, rate, left)


def is_offered(export: Export, *, now: datetime) -> bool:
    """Whether the file may be had: whole, and its time is not over."""
    return (
        export.state == ExportState.READY
        and export.expires_at is not None
        and export.expires_at > now
    )
