"""Offices, schools, and what was wrong with the list they came from."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class Level(models.TextChoices):
    ELEMENTARY = "elementary", _("Elementary school")
    MIDDLE = "middle", _("Middle school")
    HIGH = "high", _("High school")
    SPECIAL = "special", _("Special school")


class TimetableService(models.TextChoices):
    """The service of NEIS that a school's timetable is asked from."""

    ELEMENTARY = "elsTimetable", "elsTimetable"
    MIDDLE = "misTimetable", "misTimetable"
    HIGH = "hisTimetable", "hisTimetable"
    SPECIAL = "spsTimetable", "spsTimetable"


class Office(models.Model):
    """An education office. The code is the key: names change."""

    code = models.CharField(_("code"), max_length=10, primary_key=True)
    name = models.CharField(_("name"), max_length=100)

    class Meta:
        verbose_name = _("education office")
        verbose_name_plural = _("education offices")
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class School(models.Model):
    """A school of the list. Never deleted: one that left the list is closed."""

    office = models.ForeignKey(
        Office, on_delete=models.PROTECT, related_name="schools", verbose_name=_("education office")
    )
    code = models.CharField(_("school code"), max_length=10)
    name = models.CharField(_("name"), max_length=200)
    english_name = models.CharField(_("English name"), max_length=300, blank=True)
    kind = models.CharField(_("kind in NEIS"), max_length=50, blank=True)
    level = models.CharField(_("school level"), max_length=10, choices=Level.choices)
    services = ArrayField(
        models.CharField(max_length=12, choices=TimetableService.choices),
        verbose_name=_("timetable services"),
        help_text=_("Asked in this order until one has rows; that one then moves to the front."),
    )
    is_corrected = models.BooleanField(
        _("corrected by hand"),
        default=False,
        help_text=_("The school list then leaves the level and the services as they are."),
    )
    location = models.CharField(_("location"), max_length=50, blank=True)
    address = models.CharField(_("address"), max_length=400, blank=True)
    founding = models.CharField(_("public or private"), max_length=20, blank=True)
    high_school_kind = models.CharField(_("kind of high school"), max_length=50, blank=True)
    telephone = models.CharField(_("telephone"), max_length=50, blank=True)
    homepage = models.CharField(_("homepage"), max_length=300, blank=True)
    founded_on = models.DateField(_("founded on"), null=True, blank=True)
    loaded_on = models.DateField(_("loaded by NEIS on"), null=True, blank=True)
    listed_at = models.DateTimeField(_("last seen in the list"))
    missed_lists = models.PositiveSmallIntegerField(_("complete lists without it"), default=0)
    closed_at = models.DateTimeField(_("closed since"), null=True, blank=True)

    class Meta:
        verbose_name = _("school")
        verbose_name_plural = _("schools")
        ordering = ["office", "code"]
        constraints = [
            models.UniqueConstraint(fields=["office", "code"], name="school_code_in_office"),
        ]
        indexes = [
            models.Index(fields=["level", "office"], name="school_level_office"),
            models.Index(fields=["code"], name="school_code"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class SchoolListSync(models.Model):
    """One complete answer of schoolInfo and what became of its rows."""

    offices = ArrayField(models.CharField(max_length=10), verbose_name=_("education offices"))
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    refused = models.BooleanField(_("refused"), default=False)
    message = models.TextField(_("message"), blank=True)
    received = models.PositiveIntegerField(_("rows received"), default=0)
    added = models.PositiveIntegerField(_("added"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    missing = models.PositiveIntegerField(_("missing from the list"), default=0)
    closed = models.PositiveIntegerField(_("closed"), default=0)
    set_aside = models.PositiveIntegerField(_("rows set aside"), default=0)

    class Meta:
        verbose_name = _("school list")
        verbose_name_plural = _("school lists")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class ListIssueKind(models.TextChoices):
    BLANK_CODE = "blank_code", _("The school code is blank")
    BLANK_OFFICE = "blank_office", _("The office code is blank")
    LONG_CODE = "long_code", _("The school code is longer than any code of NEIS")
    DOUBLED_CODE = "doubled_code", _("The school code stands on an earlier row too")


class SchoolListIssue(models.Model):
    """A row of schoolInfo that is no school, kept whole."""

    sync = models.ForeignKey(
        SchoolListSync,
        on_delete=models.CASCADE,
        related_name="issues",
        verbose_name=_("school list"),
    )
    kind = models.CharField(_("reason"), max_length=20, choices=ListIssueKind.choices)
    name = models.CharField(_("name"), max_length=200, blank=True)
    row = models.JSONField(_("row"))

    class Meta:
        verbose_name = _("school list row set aside")
        verbose_name_plural = _("school list rows set aside")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"
