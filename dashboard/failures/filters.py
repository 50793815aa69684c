"""What the lists of failures can be narrowed to."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from collection.models import ErrorClass, FetchState, Level
from dashboard.failures.reads import HOURS, UNWELL
from dashboard.filtering import AnyRows, Filters, choice, named, offices, search

NO_CODE = "-"
_WITHIN = list(
    zip(map(str, HOURS), (_("1 hour"), _("24 hours"), _("7 days"), _("28 days")), strict=True)
)


class FailureFilters(Filters):
    """Fields of the form are those of the address that a number of the overview leads to."""

    moment = "finished_at"

    def _within(self, rows: AnyRows, *, most_hours: int | None = None) -> AnyRows:
        hours = self.cleaned_data.get("within") or most_hours
        if not hours:
            return rows
        return rows.filter(**{f"{self.moment}__gte": timezone.now() - timedelta(hours=int(hours))})

    def _of_code(self, rows: AnyRows) -> AnyRows:
        """NO_CODE stands for the failures that have none."""
        code = self.cleaned_data.get("code")
        return rows.filter(error_code="" if code == NO_CODE else code) if code else rows


class FetchFilters(FailureFilters):
    q = search(_("School name or code"))
    kind = choice(_("Class of error"), ErrorClass.choices)
    code = search(_("Code"))
    within = choice(_("Within"), _WITHIN)
    office = offices()
    level = choice(_("School level"), Level.choices)
    retried = choice(
        _("Tried again"), [("yes", _("Tried again")), ("all", _("All"))], every=_("Not tried again")
    )

    def apply(self, rows: AnyRows) -> AnyRows:
        rows = self._equal(
            rows.filter(state=FetchState.FAILED),
            kind="error_class",
            office="school__office",
            level="school__level",
        )
        rows = self._within(self._of_code(rows))
        if (retried := self.cleaned_data.get("retried")) != "all":
            rows = rows.filter(retried_by__isnull=not retried)
        text = self.cleaned_data.get("q", "").strip()
        return rows.filter(named(text)) if text else rows


class AttemptFilters(FailureFilters):
    """Four weeks at most: these are many."""

    kind = choice(_("Class of error"), ErrorClass.choices)
    code = search(_("Code"))
    within = choice(_("Within"), _WITHIN[:-1], every=_WITHIN[-1][1])

    def apply(self, rows: AnyRows) -> AnyRows:
        rows = self._equal(rows.filter(outcome__in=UNWELL), kind="error_class")
        return self._within(self._of_code(rows), most_hours=HOURS[-1])


class TaskFilters(FailureFilters):
    moment = "date_done"

    kind = search(_("Task"))
    code = search(_("Exception"))
    within = choice(_("Within"), _WITHIN)

    def apply(self, rows: AnyRows) -> AnyRows:
        rows = self._within(self._equal(rows.filter(status="FAILURE"), kind="task_name"))
        code: Any = self.cleaned_data.get("code")
        return rows.filter(result__contains=f'"exc_type": "{code}"') if code else rows
