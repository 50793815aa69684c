"""The switch that stops all collecting. The pump and every claim look at it."""

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.db.models.functions import Now

from collection.models import StopSwitch


def stop(*, by: AbstractBaseUser | None) -> bool:
    """Nothing new is begun; what is under way ends as usual. False when it was stopped already."""
    StopSwitch.objects.get_or_create(pk=1)
    running = StopSwitch.objects.filter(pk=1, stopped_at__isnull=True)
    return bool(running.update(stopped_at=Now(), stopped_by=by))


def go_on(*, by: AbstractBaseUser | None) -> bool:
    """False when nothing was stopped."""
    stopped = StopSwitch.objects.filter(Q(pk=1) & ~Q(stopped_at=None))
    return bool(stopped.update(stopped_at=None, stopped_by=None, resumed_at=Now(), resumed_by=by))


def stopped_since() -> datetime | None:
    return StopSwitch.objects.values_list("stopped_at", flat=True).filter(pk=1).first()
