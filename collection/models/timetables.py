"""What is stored: entries, the weeks they belong to, and weeks that wait for a decision."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models.runs import Run, SchoolFetch
from collection.models.schools import School


class SchoolWeek(models.Model):
    """What is stored now for one school and week: one complete answer, or none yet."""

    school = models.ForeignKey(School, on_delete=models.PROTECT, related_name="weeks")
    monday = models.DateField(_("week"))
    digest = models.BinaryField(_("digest"), max_length=16)
    entries = models.PositiveIntegerField(_("entries"))
    changed_at = models.DateTimeField(_("so since"))
    changed_by = models.ForeignKey(
        Run, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("from run")
    )
    checked_at = models.DateTimeField(_("last checked"))

    class Meta:
        verbose_name = _("school week")
        verbose_name_plural = _("school weeks")
        constraints = [
            models.UniqueConstraint(fields=["school", "monday"], name="week_of_school"),
        ]
        indexes = [models.Index(fields=["monday"], name="week_monday")]

    def __str__(self) -> str:
        return f"{self.school_id} {self.monday}"


class TimetableEntry(models.Model):
    """One row of a timetable.

    PostgreSQL partitions the table by week on `date` (migration 0002), and rows are written by
    COPY alone. `position` numbers the entries of a school's week: the key keeps a week from
    being stored twice even if everything above it fails.
    """

    pk = models.CompositePrimaryKey("school_id", "date", "position")
    # Schools are never deleted, and a checked foreign key doubles the time of a COPY.
    school = models.ForeignKey(
        School, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    date = models.DateField(_("date"))
    position = models.IntegerField(_("position in the week"))
    academic_year = models.SmallIntegerField(_("school year"))
    semester = models.SmallIntegerField(_("semester"))
    grade = models.SmallIntegerField(_("grade"))
    period = models.SmallIntegerField(_("period"))
    class_name = models.TextField(_("class"), null=True)
    course = models.TextField(_("course"), null=True)
    day_night = models.TextField(_("day or night course"), null=True)
    track = models.TextField(_("track"), null=True)
    department = models.TextField(_("department"), null=True)
    classroom = models.TextField(_("classroom"), null=True)
    subject = models.TextField(_("subject"), null=True)
    loaded_on = models.DateField(_("loaded by NEIS on"), null=True)

    class Meta:
        verbose_name = _("timetable entry")
        verbose_name_plural = _("timetable entries")

    def __str__(self) -> str:
        return f"{self.date} {self.period}: {self.subject}"


class HeldState(models.TextChoices):
    """
    waiting ──▶ accepted    stored in place of the week: by an operator, or by the rule
       ├──────▶ rejected    thrown away, the stored week stays
       └──────▶ superseded  a later answer was stored or held
    """

    WAITING = "waiting", _("Waiting for a decision")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Rejected")
    SUPERSEDED = "superseded", _("Superseded by a later answer")


class HeldWeek(models.Model):
    """An answer too small to replace what is stored without a second look, kept whole.

    One that waits and has `decided_at` was accepted by an operator: a worker stores it soon.
    """

    fetch = models.ForeignKey(SchoolFetch, on_delete=models.CASCADE, related_name="held_weeks")
    school = models.ForeignKey(School, on_delete=models.PROTECT, related_name="held_weeks")
    monday = models.DateField(_("week"))
    state = models.CharField(
        _("state"), max_length=10, choices=HeldState.choices, default=HeldState.WAITING
    )
    digest = models.BinaryField(_("digest"), max_length=16)
    old_entries = models.PositiveIntegerField(_("entries stored"))
    new_entries = models.PositiveIntegerField(_("entries in the answer"))
    payload = models.BinaryField(_("the answer's entries"))
    held_at = models.DateTimeField(_("held since"))
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )

    class Meta:
        verbose_name = _("held week")
        verbose_name_plural = _("held weeks")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["school", "monday"],
                condition=models.Q(state="waiting"),
                name="held_once_for_each_week",
            ),
        ]
        indexes = [
            # For the choice by dates, level and office, and for the guard of a run.
            models.Index(fields=["monday", "school"], name="held_monday_school"),
            models.Index(
                fields=["decided_at"],
                condition=models.Q(decided_at__isnull=False),
                name="held_decided_at",
            ),
        ]
        permissions = [("decide_heldweek", _("Can accept and reject held weeks"))]

    def __str__(self) -> str:
        return f"{self.school_id} {self.monday}"

    @property
    def is_undecided(self) -> bool:
        return self.state == HeldState.WAITING and self.decided_at is None

    @property
    def is_being_accepted(self) -> bool:
        return self.state == HeldState.WAITING and self.decided_at is not None
