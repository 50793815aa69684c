"""What operators create and edit."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from collection.models.schools import Level, Office


class Dataset(models.TextChoices):
    TIMETABLE = "timetable", _("Timetables")
    SCHOOL_LIST = "school_list", _("School list")


class OverlapPolicy(models.TextChoices):
    """What a job does when it is due and an earlier run of it is still open."""

    SKIP = "skip", _("Skip the new run")
    WAIT = "wait", _("Start the new run when the open one has ended")
    CANCEL = "cancel", _("Cancel the open run and start the new one")


class MissedPolicy(models.TextChoices):
    """What a job does with a due time that nobody was there to keep."""

    RUN_ONCE = "run_once", _("Run the latest one late")
    SKIP = "skip", _("Skip")


class Job(models.Model):
    """What to collect, for which schools and weeks, and when.

    `periodic_task` is the one place where the schedule and the switch stand: without one the job
    is started by hand alone.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    dataset = models.CharField(
        _("dataset"), max_length=20, choices=Dataset.choices, default=Dataset.TIMETABLE
    )
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
    most_at_once = models.PositiveIntegerField(
        _("most schools at the same time"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Within the limits that hold for all jobs. Empty: no limit of its own."),
    )
    overlap = models.CharField(
        _("when the last run is still open"),
        max_length=10,
        choices=OverlapPolicy.choices,
        default=OverlapPolicy.SKIP,
    )
    missed = models.CharField(
        _("when a due time was missed"),
        max_length=10,
        choices=MissedPolicy.choices,
        default=MissedPolicy.RUN_ONCE,
    )
    missed_within_hours = models.PositiveSmallIntegerField(
        _("at most so many hours late"),
        default=24,
        validators=[MinValueValidator(1), MaxValueValidator(168)],
        help_text=_("A due time that was missed for longer is skipped."),
    )
    alert = models.BooleanField(
        _("alerts"),
        default=True,
        help_text=_("Sends a message when a run of this job fails, is late or needs a decision."),
    )
    alert_above_percent = models.PositiveSmallIntegerField(
        _("alert above so many percent of failed schools"),
        default=2,
        validators=[MaxValueValidator(100)],
    )
    alert_after_minutes = models.PositiveIntegerField(
        _("alert when not finished so many minutes after the due time"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Empty: a run may take as long as it takes."),
    )
    periodic_task = models.OneToOneField(
        PeriodicTask,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="job",
        verbose_name=_("periodic task"),
    )
    # Due times up to `settled_until` have been started, skipped or missed, by the schedule as
    # `settled_schedule` has it: another schedule begins anew.
    settled_until = models.DateTimeField(null=True, blank=True, editable=False)
    settled_schedule = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name = _("collection job")
        verbose_name_plural = _("collection jobs")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_enabled(self) -> bool:
        return self.periodic_task is not None and self.periodic_task.enabled
