"""The tasks that may be scheduled, and with which arguments. Beat sends no other."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django_celery_beat.models import PeriodicTask

PUMP = "collection.pump"
START_DUE = "collection.start_due"
CLEAN_RESULTS = "collection.clean_results"
SEND_ALERTS = "collection.send_alerts"
RETENTION = "collection.retention"
REFRESH_COVERAGE = "collection.refresh_coverage"
START_DUE_EXPORT = "collection.start_due_export"
EXPIRE_EXPORTS = "collection.expire_exports"

# Name of the task to names and types of its arguments, all of them required.
TASKS: Mapping[str, Mapping[str, type]] = {
    PUMP: {},
    START_DUE: {"job": int},
    CLEAN_RESULTS: {},
    SEND_ALERTS: {},
    RETENTION: {},
    REFRESH_COVERAGE: {},
    START_DUE_EXPORT: {"schedule": int},
    EXPIRE_EXPORTS: {},
}
CONTROL_QUEUE = "control"


def check(task: PeriodicTask) -> None:
    """Raises ValidationError, by field, when a periodic task must not be sent."""
    expected = TASKS.get(task.task)
    if expected is None:
        raise ValidationError({"task": gettext("This task can't be scheduled.")})
    if _read(task.args, "args", []) != []:
        raise ValidationError({"args": gettext("This task takes named arguments alone.")})
    given = _read(task.kwargs, "kwargs", {})
    if not isinstance(given, dict) or _types_of(given) != expected:
        names = ", ".join(f"{name}: {kind.__name__}" for name, kind in expected.items()) or "{}"
        raise ValidationError(
            {"kwargs": gettext("The arguments of this task are: %(names)s") % {"names": names}}
        )
    if task.exchange or task.routing_key or task.queue not in (None, "", CONTROL_QUEUE):
        raise ValidationError(
            {"queue": gettext("Scheduled tasks go to the queue “%(queue)s”.")
             % {"queue": CONTROL_QUEUE}}
        )  # fmt: skip


def _types_of(given: Mapping[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in given.items()}


def _read(text: str | None, field: str, empty: Any) -> Any:
    try:
        return json.loads(text) if text else empty
    except ValueError:
        raise ValidationError({field: gettext("This is no JSON.")}) from None
