"""An entry of the log of changes, with what each value was before and is after."""

from typing import Any

from django import template
from django.contrib.admin.models import LogEntry

from collection import audit

register = template.Library()


@register.inclusion_tag("dashboard/_log_values.html")
def log_values(entry: LogEntry) -> dict[str, Any]:
    return {
        "entry": entry,
        "changes": audit.values_of(entry),
        "action": entry.get_action_flag_display(),
    }
