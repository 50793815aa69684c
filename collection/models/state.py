"""Small facts that every process has to agree on."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


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

    class Meta:
        verbose_name = _("stop switch")
        verbose_name_plural = _("stop switch")
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_stop_switch"),
        ]
        permissions = [("operate_stopswitch", _("Can stop and resume all collecting"))]

    def __str__(self) -> str:
        return str(_("stop switch"))
