"""What the lists of runs and of a run's fetches can be narrowed to."""

from datetime import datetime, time, timedelta

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from collection.models import Dataset, ErrorClass, FetchState, Job, Level, RunState, Trigger
from collection.planning import KOREA
from dashboard.filtering import AnyRows, Filters, choice, day, named, offices, search


class RunFilters(Filters):
    job = forms.ModelChoiceField(
        label=_("Collection job"),
        queryset=Job.objects.all(),
        required=False,
        empty_label=_("All"),
        widget=UnfoldAdminSelectWidget,
    )
    state = choice(_("State"), RunState.choices)
    trigger = choice(_("Trigger"), Trigger.choices)
    dataset = choice(_("Dataset"), Dataset.choices)
    since = day(_("Started from"))
    until = day(_("Started until"))

    def apply(self, rows: AnyRows) -> AnyRows:
        rows = self._equal(rows, job="job", state="state", trigger="trigger", dataset="dataset")
        if since := self.cleaned_data.get("since"):
            rows = rows.filter(created_at__gte=datetime.combine(since, time(), KOREA))
        if until := self.cleaned_data.get("until"):
            rows = rows.filter(
                created_at__lt=datetime.combine(until + timedelta(days=1), time(), KOREA)
            )
        return rows


class FetchFilters(Filters):
    q = search(_("School name or code"))
    state = choice(_("State"), FetchState.choices)
    error = choice(_("Class of error"), ErrorClass.choices)
    office = offices()
    level = choice(_("School level"), Level.choices)
    retries = choice(_("Retries"), [(number, f"≥ {number}") for number in range(1, 6)])

    def apply(self, rows: AnyRows) -> AnyRows:
        rows = self._equal(
            rows,
            state="state",
            error="error_class",
            office="school__office",
            level="school__level",
        )
        if text := self.cleaned_data.get("q", "").strip():
            rows = rows.filter(named(text))
        if retries := self.cleaned_data.get("retries"):
            rows = rows.filter(attempt__gt=int(retries))
        return rows
