"""Weeks in addresses and forms."""

from datetime import date, timedelta

from collection.planning import monday_of, window

SPANS = (13, 26, 53)


class MondayConverter:
    """A week in a path, named by its Monday: any other day is no address."""

    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        day = date.fromisoformat(value)
        if day != monday_of(day):
            raise ValueError(value)
        return day

    def to_url(self, value: date) -> str:
        return value.isoformat()


def read_monday(raw: str | None, *, default: date) -> date:
    """The Monday of the week that `raw` is in; `default` where it is no date."""
    try:
        return monday_of(date.fromisoformat(raw or ""))
    except ValueError:
        return default


def read_span(raw: str | None) -> int:
    return next((span for span in SPANS if str(span) == raw), SPANS[0])


def span_until(last: date, weeks: int) -> list[date]:
    return list(window(last - timedelta(weeks=weeks - 1), weeks))
