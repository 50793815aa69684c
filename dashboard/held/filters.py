"""What the list of held weeks can be narrowed to."""

from datetime import timedelta

from django import forms
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from collection.models import HeldState, Level
from collection.planning import monday_of
from dashboard.filtering import AnyRows, Filters, choice, day, named, offices, search

_AGES = [("1", _("1 hour")), ("24", _("1 day")), ("168", _("1 week"))]
_FALLS = [
    ("75", _("By three quarters or more")),
    ("90", _("By nine tenths or more")),
    ("100", _("To nothing")),
]
_DECIDED = [item for item in HeldState.choices if item[0] != HeldState.WAITING]


class HeldFilters(Filters):
    """Those that wait for a decision, unless another state is asked for."""

    q = search(_("School name or code"))
    office = offices()
    level = choice(_("School level"), Level.choices)
    week = day(_("A day of the week"))
    older_than = choice(_("Held for longer than"), _AGES)
    fall = choice(_("Fall"), _FALLS)
    run = forms.IntegerField(
        label=_("Run"),
        required=False,
        min_value=1,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
    )
    state = choice(_("State"), _DECIDED, every=HeldState.WAITING.label)

    def apply(self, rows: AnyRows) -> AnyRows:
        rows = rows.filter(state=self.cleaned_data.get("state") or HeldState.WAITING)
        rows = self._equal(rows, office="school__office", level="school__level", run="fetch__run")
        if text := self.cleaned_data.get("q", "").strip():
            rows = rows.filter(named(text))
        if week := self.cleaned_data.get("week"):
            rows = rows.filter(monday=monday_of(week))
        if hours := self.cleaned_data.get("older_than"):
            rows = rows.filter(held_at__lt=Now() - timedelta(hours=int(hours)))
        if percent := self.cleaned_data.get("fall"):
            rows = rows.filter(new_entries__lte=F("old_entries") * (100 - int(percent)) / 100)
        return rows
