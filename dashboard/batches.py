"""Actions on one row, on a selection, and on everything that the filters of a list let through.

The form posts `action`, the rows as `chosen` (ids) or, with `matching`, the list's own query
string as `filters`, and `back`, the page to return to. What can't be undone, and what is done to
many, is asked about first: the answer comes as `confirmed`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from dashboard.filtering import AnyRows, Filters
from dashboard.pages import render_page

_MOST_IDS = 1000
_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Action:
    """`eligible` leaves out the rows that it makes no sense for; `do` returns what to tell.

    `warning` is said before it is done, and an action that has one is always asked about.
    """

    name: str
    label: Any
    permission: str
    eligible: Callable[[AnyRows], AnyRows]
    do: Callable[[AnyRows, AbstractUser], str]
    icon: str = ""
    warning: Any = ""
    is_danger: bool = False


class Refused(Exception):
    """Raised by `do`: nothing was done, and the text says why."""


def allowed(actions: Sequence[Action], request: HttpRequest) -> list[Action]:
    return [action for action in actions if request.user.has_perm(action.permission)]


def perform(
    request: HttpRequest,
    *,
    actions: Sequence[Action],
    rows: AnyRows,
    filters: type[Filters],
    home: str,
) -> HttpResponse:
    """`rows` are all that may be chosen from; `home` is where to go when `back` names no page."""
    by_name: Mapping[str, Action] = {action.name: action for action in actions}
    action = by_name.get(request.POST.get("action", ""))
    if action is None:
        raise BadRequest("There is no such action.")
    if not request.user.has_perm(action.permission) or not isinstance(request.user, AbstractUser):
        raise PermissionDenied
    chosen = _chosen(request, rows, filters)
    eligible = action.eligible(chosen)
    count = eligible.count()
    back = _back(request, home)
    if not count:
        messages.warning(request, _("Nothing was changed: none of the chosen can be treated so."))
    elif _must_ask(request, action, count):
        return _ask(request, action, eligible, count, left_out=chosen.count() - count, back=back)
    else:
        _do(request, action, eligible, request.user)
    return HttpResponseRedirect(back)


def _do(request: HttpRequest, action: Action, rows: AnyRows, user: AbstractUser) -> None:
    try:
        messages.success(request, action.do(rows, user))
    except Refused as refusal:
        messages.error(request, str(refusal))


def _chosen(request: HttpRequest, rows: AnyRows, filters: type[Filters]) -> AnyRows:
    if request.POST.get("matching"):
        return filters(QueryDict(request.POST.get("filters", ""))).apply(rows)
    ids = request.POST.getlist("chosen")
    if len(ids) > _MOST_IDS or not all(text.isascii() and text.isdigit() for text in ids):
        raise BadRequest("These are no ids.")
    return rows.filter(pk__in=ids)


def _must_ask(request: HttpRequest, action: Action, count: int) -> bool:
    return (bool(action.warning) or count > 1) and not request.POST.get("confirmed")


def _ask(
    request: HttpRequest, action: Action, rows: AnyRows, count: int, *, left_out: int, back: str
) -> HttpResponse:
    return render_page(
        request,
        "dashboard/confirm.html",
        title=str(action.label),
        context={
            "action": action,
            "count": count,
            "left_out": left_out,
            "shown": list(rows[:_MOST_SHOWN]),
            "not_shown": max(count - _MOST_SHOWN, 0),
            "chosen": request.POST.getlist("chosen"),
            "matching": request.POST.get("matching", ""),
            "filters": request.POST.get("filters", ""),
            "back": back,
        },
    )


def _back(request: HttpRequest, home: str) -> str:
    back = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    return back if safe else home
