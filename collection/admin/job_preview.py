"""What a job will do, before it is saved: due times, schools, requests, and whether it fits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from collection import quota, scheduling, starting
from collection.admin.job_form import JobForm
from collection.models import Dataset
from collection.planning import KOREA
from collection.quota import Estimate
from collection.starting import Plan

_SHOWN_TIMES = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """`schedule` is empty when the fields make none; `errors` are pairs of label and text.

    `weeks` are the first and the last day that the next run asks for.
    """

    schedule: str
    times: Sequence[datetime]
    zone: ZoneInfo
    weeks: tuple[date, date] | None
    estimate: Estimate | None
    errors: Sequence[tuple[str, str]]

    @property
    def shortest_gap(self) -> timedelta | None:
        gaps = [later - earlier for earlier, later in pairwise(self.times)]
        return min(gaps, default=None)

    @property
    def fits(self) -> bool | None:
        """Whether a run ends before the next one is due; None when there is no telling."""
        if self.estimate is None or self.estimate.seconds is None or self.shortest_gap is None:
            return None
        return timedelta(seconds=self.estimate.seconds) < self.shortest_gap


def read_preview(form: JobForm, *, now: datetime) -> Preview:
    """Of a bound form, right or wrong: what can be told is told."""
    form.full_clean()
    schedule = _schedule(form, now)
    times = schedule.next_times(now, _SHOWN_TIMES) if schedule else []
    plan = _plan(form, times[0] if times else now)
    return Preview(
        schedule=scheduling.in_words(schedule) if schedule else "",
        times=times,
        zone=_zone(schedule),
        weeks=_weeks(plan),
        estimate=estimate_of(plan),
        errors=[
            (str(form[name].label) if name in form.fields else "", str(text))
            for name, texts in form.errors.items()
            for text in texts
        ],
    )


def _schedule(form: JobForm, now: datetime) -> scheduling.Schedule | None:
    if form.schedule is None:
        return None
    try:
        return scheduling.schedule_of(form.task(), anchor=now)
    except ValidationError:
        return None


def _zone(schedule: scheduling.Schedule | None) -> ZoneInfo:
    rule = schedule and schedule.rule
    return rule.zone if isinstance(rule, scheduling.Crontab) else KOREA


def _plan(form: JobForm, at: datetime) -> Plan | None:
    """Of a run that begins `at`: made from the fields, not from what is stored."""
    if form.errors.keys() & {"dataset", "levels", "offices", "window_offset", "window_weeks"}:
        return None
    offices = [office.pk for office in form.cleaned_data["offices"]]
    return replace(starting.plan_of(form.instance, at), offices=offices)


def estimate_of(plan: Plan | None) -> Estimate | None:
    """None for a school list, which takes a few requests."""
    if plan is None or plan.dataset == Dataset.SCHOOL_LIST:
        return None
    return quota.estimate(plan)


def _weeks(plan: Plan | None) -> tuple[date, date] | None:
    if plan is None or plan.dataset == Dataset.SCHOOL_LIST:
        return None
    return plan.first_monday, plan.first_monday + timedelta(weeks=plan.weeks, days=-1)
