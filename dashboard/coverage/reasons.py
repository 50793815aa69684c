"""Why a school has nothing to show for a week, told apart as far as what is stored can tell."""

from datetime import date, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models import Coverage

# A school that was empty this often and never anything else does not publish through NEIS.
NEVER_FROM_WEEKS = 8


class Reason(models.TextChoices):
    COLLECTED = "collected", _("Collected")
    FAILED = "failed", _("Failed")
    HELD = "held", _("Held for a decision")
    UNDER_WAY = "under_way", _("Being collected now")
    UNTRIED = "untried", _("Never tried")
    NOT_YET = "not_yet", _("Not published yet")
    VACATION = "vacation", _("Vacation, most likely")
    NEVER = "never", _("Has never published a timetable")
    NO_DATA = "no_data", _("The school published nothing")
    CLOSED = "closed", _("Closed before this week")
    NOT_FOUNDED = "not_founded", _("Founded after this week")


def reason_of(
    coverage: Coverage,
    *,
    monday: date,
    today: date,
    under_way: bool,
    weeks_checked: int,
    weeks_with_data: int,
    most_are_empty: bool,
) -> Reason:
    """`most_are_empty`: of the schools of its office and level, in this week."""
    if coverage is Coverage.UNTRIED:
        return Reason.UNDER_WAY if under_way else Reason.UNTRIED
    if coverage is not Coverage.EMPTY:
        return Reason(coverage.value)
    if not weeks_with_data and weeks_checked >= NEVER_FROM_WEEKS:
        return Reason.NEVER
    if today < monday + timedelta(days=7):
        return Reason.NOT_YET
    return Reason.VACATION if most_are_empty else Reason.NO_DATA
