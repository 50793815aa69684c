"""What the console's templates share: the strip of the system's state, and the badges of states."""

from typing import Any

from django import template
from django.http import HttpRequest
from django.template import RequestContext
from django.utils import timezone

from collection import stopping
from collection.models import ExportState, FetchState, HeldState, RunState
from dashboard.status import read_status

register = template.Library()

# State to colour and symbol: a state is never told by its colour alone.
_BADGES = {
    RunState.RUNNING: ("info", "play_arrow"),
    RunState.PAUSED: ("warning", "pause"),
    RunState.COMPLETED: ("success", "check"),
    RunState.INCOMPLETE: ("danger", "error"),
    RunState.CANCELLED: ("neutral", "block"),
    RunState.SKIPPED: ("neutral", "skip_next"),
    FetchState.WAITING: ("neutral", "hourglass_empty"),
    FetchState.SUCCEEDED: ("success", "check"),
    FetchState.EMPTY: ("neutral", "remove"),
    FetchState.HELD: ("warning", "front_hand"),
    FetchState.FAILED: ("danger", "error"),
    HeldState.ACCEPTED: ("success", "check"),
    HeldState.REJECTED: ("neutral", "block"),
    HeldState.SUPERSEDED: ("neutral", "update"),
    ExportState.READY: ("success", "check"),
    ExportState.EXPIRED: ("neutral", "timer_off"),
    ExportState.DELETED: ("neutral", "delete"),
}
_OTHER = ("neutral", "circle")


@register.inclusion_tag("dashboard/_status.html")
def console_status() -> dict[str, Any]:
    return {"status": read_status(now=timezone.now())}


@register.inclusion_tag("dashboard/_stop_switch.html", takes_context=True)
def stop_switch(context: RequestContext) -> dict[str, Any]:
    """The control that stops all collecting, for who may use it; others see that it is stopped."""
    request: HttpRequest = context["request"]
    return {
        "stopped_at": stopping.stopped_since(),
        "may_operate": request.user.has_perm("collection.operate_stopswitch"),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("dashboard/_badge.html")
def state_badge(state: str, label: str) -> dict[str, str]:
    """`label` is the state in the reader's language, such as `run.get_state_display`."""
    colour, symbol = _BADGES.get(state, _OTHER)  # type: ignore[call-overload]
    return {"colour": colour, "symbol": symbol, "label": label}
