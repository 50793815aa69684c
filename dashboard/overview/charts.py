"""The last runs and weeks in pictures, each with the same figures as a table."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from collection.models import (
    Attempt,
    ErrorClass,
    FetchState,
    Run,
    RunState,
    Trigger,
)
from collection.planning import KOREA
from dashboard.runs.reads import UNWELL_OUTCOMES
from dashboard.runs.tallies import Tally, tally_runs

_MOST_RUNS = 20
_DAYS = 28
_STATE_COLOURS = {
    FetchState.SUCCEEDED: "var(--tone-success)",
    FetchState.EMPTY: "var(--color-base-400)",
    FetchState.HELD: "var(--tone-warning)",
    FetchState.FAILED: "var(--tone-danger)",
}
_CLASS_COLOURS = [f"var(--chart-{number})" for number in range(1, 9)]


@dataclass(frozen=True, slots=True)
class Series:
    label: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Chart:
    """`labels` name the columns of the picture and the rows of its table, below `heading`."""

    title: str
    heading: str
    labels: Sequence[str]
    series: Sequence[Series]

    @property
    def data(self) -> str:
        """As Unfold's chart components take it."""
        datasets = [
            {
                "label": series.label,
                "data": list(series.values),
                "backgroundColor": series.colour,
                "maxBarThickness": 28,
                "borderRadius": 0,
            }
            for series in self.series
        ]
        return json.dumps({"labels": list(self.labels), "datasets": datasets})

    @property
    def options(self) -> str:
        legend = {"display": len(self.series) > 1, "position": "bottom"}
        return json.dumps(
            {
                "animation": False,
                "responsive": True,
                "maintainAspectRatio": False,
                "scales": {
                    "x": {"stacked": True, "grid": {"display": False}},
                    "y": {"stacked": True, "beginAtZero": True, "grid": {"display": True}},
                },
                "plugins": {"legend": legend | {"labels": {"boxWidth": 12, "boxHeight": 12}}},
            }
        )

    @property
    def rows(self) -> list[tuple[str, list[float]]]:
        return [
            (label, [series.values[number] for series in self.series])
            for number, label in enumerate(self.labels)
        ]


def read_charts(*, now: datetime) -> list[Chart]:
    return [*_charts_of_runs(), _chart_of_errors(now)]


def _charts_of_runs() -> list[Chart]:
    runs = list(
        Run.objects.filter(state__in=[RunState.COMPLETED, RunState.INCOMPLETE])
        .exclude(trigger=Trigger.RETRY)
        .order_by("-pk")[:_MOST_RUNS]
    )[::-1]
    tallies = tally_runs(runs)

    def chart(title: str, *series: tuple[str, str, Callable[[Run, Tally], float]]) -> Chart:
        return Chart(
            title=title,
            heading=_("Run"),
            labels=[str(run) for run in runs],
            series=[
                Series(label, colour, [value(run, tallies[run.pk]) for run in runs])
                for label, colour, value in series
            ],
        )

    schools = [
        (str(state.label), colour, _schools_in(state)) for state, colour in _STATE_COLOURS.items()
    ]
    return [
        chart(_("Schools of the last runs"), *schools),
        chart(
            _("Entries of the last runs"),
            (_("Stored"), "var(--tone-info)", lambda run, tally: tally.stored),
            (_("Unchanged"), "var(--color-base-400)", lambda run, tally: tally.unchanged),
        ),
        chart(
            _("Duration of the last runs in minutes"),
            (_("Minutes"), "var(--tone-info)", lambda run, tally: _minutes(run)),
        ),
        chart(_("Failed and held schools of the last runs"), *schools[-2:]),
    ]


def _schools_in(state: FetchState) -> Callable[[Run, Tally], float]:
    return lambda run, tally: tally.by_state.get(state, 0)


def _minutes(run: Run) -> float:
    if run.finished_at is None:
        return 0.0
    return round((run.finished_at - run.created_at).total_seconds() / 60, 1)


def _chart_of_errors(now: datetime) -> Chart:
    """Attempts that did not end well, by class and Korean day."""
    today = now.astimezone(KOREA).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(_DAYS))]
    begins = datetime.combine(days[0], datetime.min.time(), KOREA)
    rows = (
        Attempt.objects.filter(outcome__in=UNWELL_OUTCOMES, finished_at__gte=begins)
        .order_by()
        .values("error_class", day=TruncDate("finished_at", tzinfo=KOREA))
        .annotate(count=Count("id"))
    )
    counts = {(row["error_class"], row["day"]): row["count"] for row in rows}
    classes = [name for name in ErrorClass if any(name == found for found, _day in counts)]
    return Chart(
        title=_("Failed attempts by class of error, last 28 days"),
        heading=_("Day"),
        labels=[_short(day) for day in days],
        series=[
            Series(
                str(name.label),
                _CLASS_COLOURS[number % len(_CLASS_COLOURS)],
                [counts.get((name, day), 0) for day in days],
            )
            for number, name in enumerate(classes)
        ],
    )


def _short(day: date) -> str:
    return date_format(day, "m-d")
