"""What of each week is stored, summed up: computed anew from the truth, see collection.coverage."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models.schools import Level, Office, School


class Coverage(models.TextChoices):
    """What there is of a school's week. Every expected school is in exactly one of these."""

    COLLECTED = "collected", _("Collected")
    EMPTY = "empty", _("No data in NEIS")
    FAILED = "failed", _("Failed")
    HELD = "held", _("Held")
    UNTRIED = "untried", _("Never tried")


class CoverageCell(models.Model):
    """The schools of one office and level in one week, counted by Coverage."""

    office = models.ForeignKey(Office, on_delete=models.CASCADE, related_name="+")
    level = models.CharField(_("school level"), max_length=10, choices=Level.choices)
    monday = models.DateField(_("week"))
    collected = models.PositiveIntegerField(_("collected"))
    empty = models.PositiveIntegerField(_("no data in NEIS"))
    failed = models.PositiveIntegerField(_("failed"))
    held = models.PositiveIntegerField(_("held"))
    untried = models.PositiveIntegerField(_("never tried"))

    class Meta:
        verbose_name = _("coverage of a week")
        verbose_name_plural = _("coverage of weeks")
        constraints = [
            models.UniqueConstraint(
                fields=["monday", "office", "level"], name="coverage_cell_of_week"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.office_id} {self.level} {self.monday}"


class SchoolFreshness(models.Model):
    """When NEIS last answered for any week of a school, and when a week of it last changed."""

    school = models.OneToOneField(
        School, on_delete=models.CASCADE, primary_key=True, related_name="freshness"
    )
    checked_at = models.DateTimeField(_("last checked"))
    changed_at = models.DateTimeField(_("last changed"))

    class Meta:
        verbose_name = _("freshness of a school")
        verbose_name_plural = _("freshness of schools")

    def __str__(self) -> str:
        return f"{self.school_id}: {self.checked_at:%Y-%m-%d %H:%M}"
