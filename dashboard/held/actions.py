"""What an operator can do to held weeks."""

from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy, ngettext

from collection import held
from collection.models import HeldWeek
from dashboard.batches import Action
from dashboard.filtering import AnyRows

DECIDE = "collection.decide_heldweek"
# More would keep the operator waiting: a school takes 5 to 30 ms.
MOST_AT_ONCE = 100

ACCEPT_WARNING = gettext_lazy(
    "The new answer takes the place of the stored week. What was stored before is gone then."
)
REJECT_WARNING = gettext_lazy(
    "The new answer is thrown away, and the stored week stays as it is. If NEIS gives the same "
    "answer again, it is held again."
)


def accept(chosen: AnyRows, user: AbstractUser) -> str:
    weeks = _weeks(chosen)
    if weeks.count() > MOST_AT_ONCE:
        count = held.accept_later(weeks, by=user)
        text = ngettext(
            "%(n)s held week is accepted. It is stored in the background.",
            "%(n)s held weeks are accepted. They are stored in the background, and leave this list "
            "as that goes on.",
            count,
        )
    else:
        count = held.accept(weeks, by=user)
        text = ngettext("%(n)s held week accepted.", "%(n)s held weeks accepted.", count)
    return text % {"n": f"{count:,}"}


def reject(chosen: AnyRows, user: AbstractUser) -> str:
    count = held.reject(_weeks(chosen), by=user)
    text = ngettext("%(n)s held week rejected.", "%(n)s held weeks rejected.", count)
    return text % {"n": f"{count:,}"}


def _weeks(chosen: AnyRows) -> QuerySet[HeldWeek]:
    """By their ids: what deciding changes must not change what was chosen."""
    ids = held.undecided(chosen).order_by("pk").values_list("pk", flat=True)
    return HeldWeek.objects.filter(pk__in=list(ids))


HELD_ACTIONS = (
    Action(
        name="accept",
        label=gettext_lazy("Accept"),
        permission=DECIDE,
        eligible=held.undecided,
        do=accept,
        icon="check",
        warning=ACCEPT_WARNING,
    ),
    Action(
        name="reject",
        label=gettext_lazy("Reject"),
        permission=DECIDE,
        eligible=held.undecided,
        do=reject,
        icon="close",
        warning=REJECT_WARNING,
    ),
)
