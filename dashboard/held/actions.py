"""What an operator can do to held weeks."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractUser
from django.utils.translation import gettext_lazy, ngettext

from collection import audit, held
from collection.models import HeldState, HeldWeek
from dashboard.batches import Action
from dashboard.filtering import AnyRows

DECIDE = "collection.decide_heldweek"

ACCEPT_WARNING = gettext_lazy(
    "The new answer takes the place of the stored week. What was stored before is gone then."
)
REJECT_WARNING = gettext_lazy(
    "The new answer is thrown away, and the stored week stays as it is. If NEIS gives the same "
    "answer again, it is held again."
)


def accept(chosen: AnyRows, user: AbstractUser) -> str:
    ids = _waiting_ids(chosen)
    count = held.accept(HeldWeek.objects.filter(pk__in=ids), by=user)
    _note(ids, HeldState.ACCEPTED, user)
    text = ngettext("%(n)s held week accepted.", "%(n)s held weeks accepted.", count)
    return text % {"n": f"{count:,}"}


def reject(chosen: AnyRows, user: AbstractUser) -> str:
    ids = _waiting_ids(chosen)
    count = held.reject(HeldWeek.objects.filter(pk__in=ids), by=user)
    _note(ids, HeldState.REJECTED, user)
    text = ngettext("%(n)s held week rejected.", "%(n)s held weeks rejected.", count)
    return text % {"n": f"{count:,}"}


def _waiting_ids(chosen: AnyRows) -> list[int]:
    return list(waiting(chosen).order_by("pk").values_list("pk", flat=True))


def waiting(chosen: AnyRows) -> AnyRows:
    return chosen.filter(state=HeldState.WAITING)


def _note(ids: list[int], state: HeldState, user: AbstractUser) -> None:
    """Only what this very decision changed: a later answer may have come in between."""
    decided = HeldWeek.objects.filter(pk__in=ids, state=state, decided_by=user.pk)
    change = audit.change("state", HeldState.WAITING.label, state.label)
    LogEntry.objects.log_actions(
        user_id=user.pk,
        queryset=decided.defer("payload"),
        action_flag=CHANGE,
        change_message=audit.message_of([change]),
    )


HELD_ACTIONS = (
    Action(
        name="accept",
        label=gettext_lazy("Accept"),
        permission=DECIDE,
        eligible=waiting,
        do=accept,
        icon="check",
        warning=ACCEPT_WARNING,
    ),
    Action(
        name="reject",
        label=gettext_lazy("Reject"),
        permission=DECIDE,
        eligible=waiting,
        do=reject,
        icon="close",
        warning=REJECT_WARNING,
    ),
)
