"""Numbers, spans of time and moments, as the console writes them."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()

NOTHING = "–"


@register.filter
def number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


@register.filter
def percent(share: float | None) -> str:
    """A share of 1. 100 % is said of the whole alone, and 0 % of nothing alone."""
    if share is None:
        return NOTHING
    if 0 < share < 1:
        share = min(max(share, 0.001), 0.999)
    return f"{share * 100:.1f} %"


@register.filter
def duration(span: timedelta | float | None) -> str:
    """Seconds or a timedelta, in its two largest units."""
    if span is None:
        return NOTHING
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds < 1:
        return _("%(n)s ms") % {"n": round(max(seconds, 0) * 1000)}
    if seconds < 10:
        return _("%(n)s s") % {"n": f"{seconds:.1f}"}
    return _in_two_units(round(seconds))


def _in_two_units(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return _("%(days)s d %(hours)s h") % {"days": days, "hours": hour}
    if hours:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minute}
    if minutes:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": second}
    return _("%(n)s s") % {"n": second}


@register.filter
def moment(value: datetime | None) -> str | SafeString:
    """How long ago or from now, with the time itself, in Korea, when it is pointed at."""
    if value is None:
        return NOTHING
    return _time_element(value, _relative(timezone.now() - value), _absolute(value))


@register.filter
def clock(value: datetime | None) -> str | SafeString:
    """The time itself, in Korea, with how long ago when it is pointed at."""
    if value is None:
        return NOTHING
    return _time_element(value, _absolute(value), _relative(timezone.now() - value))


def _time_element(value: datetime, text: str, title: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), title, text)


def _absolute(value: datetime) -> str:
    return date_format(timezone.localtime(value), "Y-m-d H:i:s")


def _relative(ago: timedelta) -> str:
    seconds = ago.total_seconds()
    if -1 < seconds < 1:
        return _("now")
    span = _largest_unit(round(abs(seconds)))
    return (_("%(span)s ago") if seconds > 0 else _("in %(span)s")) % {"span": span}


def _largest_unit(seconds: int) -> str:
    if seconds < 60:
        return _("%(n)s s") % {"n": seconds}
    if seconds < 60 * 60:
        return _("%(n)s min") % {"n": seconds // 60}
    if seconds < 2 * 24 * 60 * 60:
        return _in_two_units(seconds)
    return _("%(n)s d") % {"n": seconds // (24 * 60 * 60)}
