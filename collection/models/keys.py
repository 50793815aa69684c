"""What is known of each key of NEIS; the keys themselves stay in the environment."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ApiKeyState(models.Model):
    """A key that NEIS refused or that is spent. Found by a keyed hash: the key is nowhere here."""

    fingerprint = models.CharField(_("fingerprint"), max_length=32, primary_key=True)
    refused_at = models.DateTimeField(_("refused since"), null=True, blank=True)
    spent_until = models.DateTimeField(_("spent until"), null=True, blank=True)
    code = models.CharField(_("answer of NEIS"), max_length=20, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.fingerprint[:8]


class KeyUsage(models.Model):
    """How many calls a key was set aside for on a Korean day: at least as many as were made."""

    fingerprint = models.CharField(_("fingerprint"), max_length=32)
    day = models.DateField(_("day"))
    calls = models.PositiveIntegerField(_("calls"), default=0)

    class Meta:
        verbose_name = _("use of an API key")
        verbose_name_plural = _("use of API keys")
        constraints = [
            models.UniqueConstraint(fields=["fingerprint", "day"], name="usage_once_for_each_day"),
        ]

    def __str__(self) -> str:
        return f"{self.fingerprint[:8]} {self.day}"
