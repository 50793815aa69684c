"""What operators create and edit."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models.schools import Level, Office


class Job(models.Model):
    """Which schools' timetables to collect, and for which weeks."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    levels = ArrayField(
        models.CharField(max_length=10, choices=Level.choices),
        verbose_name=_("school levels"),
        blank=True,
        default=list,
        help_text=_("None: all levels."),
    )
    offices = models.ManyToManyField(
        Office,
        verbose_name=_("education offices"),
        blank=True,
        help_text=_("None: all offices."),
    )
    window_offset = models.SmallIntegerField(
        _("first week"),
        default=-1,
        validators=[MinValueValidator(-52), MaxValueValidator(52)],
        help_text=_("In weeks from the week of the start: -1 is the week before it."),
    )
    window_weeks = models.PositiveSmallIntegerField(
        _("number of weeks"),
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(53)],
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"),
        default=5,
        validators=[MaxValueValidator(9)],
        help_text=_("0 to 9: fetches of a higher priority are published first."),
    )

    class Meta:
        verbose_name = _("collection job")
        verbose_name_plural = _("collection jobs")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
