"""Figures for Prometheus, read from the ledger at each scrape: nothing is counted twice or kept."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from collection import breaker, heartbeats, held, liveness, quota, stopping
from collection.models import (
    OPEN_RUN_STATES,
    Attempt,
    Breaker,
    FetchState,
    Run,
    SchoolFetch,
)
from dashboard.coverage.reads import read_freshness
from dashboard.runs.reads import UNWELL_OUTCOMES

RECENT = timedelta(minutes=15)
# The newest by their key: never a walk through history. More than can end in that time.
MOST_ATTEMPTS = 50_000


def render(*, now: datetime) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Ledger(now))
    return generate_latest(registry)


class _Ledger(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterable[Metric]:
        yield from self._runs()
        yield from self._fetches()
        yield from self._attempts()
        yield from self._freshness()
        yield from self._state()
        yield from self._upstream()

    def _runs(self) -> Iterator[Metric]:
        runs = GaugeMetricFamily("neis_runs_open", "Open runs by state.", labels=["state"])
        counts = dict(
            Run.objects.filter(state__in=OPEN_RUN_STATES)
            .order_by()
            .values_list("state")
            .annotate(count=Count("id"))
        )
        for state in OPEN_RUN_STATES:
            runs.add_metric([state.value], counts.get(state.value, 0))
        yield runs

    def _fetches(self) -> Iterator[Metric]:
        fetches = GaugeMetricFamily(
            "neis_fetches", "School fetches of open runs by state.", labels=["state"]
        )
        counts = dict(
            SchoolFetch.objects.filter(run__state__in=OPEN_RUN_STATES)
            .order_by()
            .values_list("state")
            .annotate(count=Count("id"))
        )
        for state in FetchState:
            fetches.add_metric([state.value], counts.get(state.value, 0))
        yield fetches

    def _attempts(self) -> Iterator[Metric]:
        failed = GaugeMetricFamily(
            "neis_failed_attempts_recent",
            "Attempts of the last 15 minutes that did not succeed, by class of error.",
            labels=["error_class"],
        )
        # By outcome, so that the index of failed attempts answers.
        recent = Attempt.objects.filter(
            finished_at__gt=self._now - RECENT, outcome__in=UNWELL_OUTCOMES
        ).exclude(error_class="")
        counts = recent.order_by().values_list("error_class").annotate(count=Count("id"))
        for error_class, count in counts:
            failed.add_metric([error_class], count)
        yield failed
        requests, seconds = self._requests()
        yield SummaryMetricFamily(
            "neis_request_seconds_recent",
            "Requests to NEIS of the last 15 minutes, and the time of the attempts they belong to.",
            count_value=requests,
            sum_value=seconds,
        )

    def _requests(self) -> tuple[int, float]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT COALESCE(sum(requests), 0),"
                " COALESCE(sum(extract(epoch FROM finished_at - started_at)), 0)"
                " FROM collection_attempt WHERE finished_at > %s AND requests > 0"
                " AND id > (SELECT max(id) FROM collection_attempt) - %s",
                [self._now - RECENT, MOST_ATTEMPTS],
            )
            requests, seconds = cursor.fetchone()
        return int(requests), float(seconds)

    def _freshness(self) -> Iterator[Metric]:
        schools = read_freshness(now=self._now)
        yield GaugeMetricFamily("neis_schools_open", "Open schools.", schools.schools)
        yield GaugeMetricFamily(
            "neis_schools_fresh", "Open schools checked within 7 days.", schools.fresh
        )

    def _state(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "neis_held_weeks",
            "Weeks that wait for a decision.",
            held.waiting().count(),
        )
        yield GaugeMetricFamily(
            "neis_stopped",
            "1 while all collecting is stopped.",
            int(stopping.stopped_since() is not None),
        )
        heartbeat = GaugeMetricFamily(
            "neis_heartbeat_age_seconds", "Time since a part was last seen.", labels=["name"]
        )
        for name, seen_at in sorted(heartbeats.seen().items()):
            heartbeat.add_metric([name], max(0.0, (self._now - seen_at).total_seconds()))
        yield heartbeat

    def _upstream(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "neis_down", "1 while NEIS is down.", int(breaker.state().state != Breaker.CLOSED)
        )
        calls = GaugeMetricFamily(
            "neis_calls_today", "Calls of today in Korea, by key.", labels=["key"]
        )
        for use in quota.use_of_keys():
            calls.add_metric([use.label], use.used)
        yield calls
        yield GaugeMetricFamily(
            "neis_queued_messages",
            "Messages that waited for a worker when the pump last looked.",
            liveness.pump().queued or 0,
        )
        yield GaugeMetricFamily(
            "neis_stalled",
            "1 while work is due and nothing moves.",
            int(liveness.stalled_since() is not None),
        )
