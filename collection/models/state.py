"""Small facts that every process has to agree on."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models.runs import ErrorClass, SchoolFetch


class Heartbeat(models.Model):
    """When a part of the system was last seen at work."""

    name = models.CharField(_("name"), max_length=50, primary_key=True)
    seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return self.name


class StopSwitch(models.Model):
    """Whether all collecting is stopped: nothing new is begun, what is under way may end.

    There is one row, of id 1; no row, or one without `stopped_at`, means that work goes on.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    stopped_at = models.DateTimeField(_("stopped since"), null=True, blank=True)
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("stopped by"),
    )
    resumed_at = models.DateTimeField(_("going on since"), null=True, blank=True)
    resumed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("let go on by"),
    )

    class Meta:
        verbose_name = _("stop switch")
        verbose_name_plural = _("stop switch")
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_stop_switch"),
        ]
        permissions = [("operate_stopswitch", _("Can stop and resume all collecting"))]

    def __str__(self) -> str:
        return str(_("stop switch"))


class Breaker(models.TextChoices):
    """
    closed ──faults──▶ half open ──▶ open      NEIS is down
       ▲                 │    ▲        │
       └──a good answer──┘    └────────┘ the cool-down is over: one probe
    """

    CLOSED = "closed", _("NEIS answers")
    HALF_OPEN = "half_open", _("One request finds out whether NEIS answers")
    OPEN = "open", _("NEIS is down")


class UpstreamState(models.Model):
    """What all workers know of NEIS: whether it is down, and until when it asked to be left alone.

    There is one row, of id 1; no row means that NEIS answers. `down_since` is the time of the
    first fault that led here, `probe` the one fetch that may be claimed, `probe_at` when the
    next one is due.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    state = models.CharField(
        _("state"), max_length=10, choices=Breaker.choices, default=Breaker.CLOSED
    )
    since = models.DateTimeField(_("since"), null=True, blank=True)
    down_since = models.DateTimeField(_("down since"), null=True, blank=True)
    cool_down_seconds = models.FloatField(_("cool-down in seconds"), default=0)
    probe_at = models.DateTimeField(_("next probe"), null=True, blank=True)
    probe = models.ForeignKey(
        SchoolFetch,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("probe"),
    )
    probes = models.PositiveIntegerField(_("probes"), default=0)
    reason = models.CharField(_("reason"), max_length=20, choices=ErrorClass.choices, blank=True)
    not_before = models.DateTimeField(_("no request before"), null=True, blank=True)

    class Meta:
        verbose_name = _("state of NEIS")
        verbose_name_plural = _("state of NEIS")
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_upstream_state"),
        ]

    def __str__(self) -> str:
        return str(self.get_state_display())


class PumpState(models.Model):
    """What the pump saw last. There is one row, of id 1.

    `idle_at` is when there was last nothing that could have been done: no due fetch, or none
    that may begin.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    pumped_at = models.DateTimeField(_("last stroke"), null=True, blank=True)
    idle_at = models.DateTimeField(_("last idle"), null=True, blank=True)
    queued = models.PositiveIntegerField(_("messages in the queues"), null=True, blank=True)
    trouble = models.CharField(_("trouble with the broker"), max_length=100, blank=True)
    trouble_since = models.DateTimeField(_("trouble since"), null=True, blank=True)

    class Meta:
        verbose_name = _("state of the pump")
        verbose_name_plural = _("state of the pump")
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_pump_state"),
        ]

    def __str__(self) -> str:
        return str(_("state of the pump"))
