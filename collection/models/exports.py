"""Exports: what was asked for, what is being made, and which files lie ready."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from collection.models.jobs import Dataset
from collection.models.schools import Level


class FileFormat(models.TextChoices):
    CSV = "csv", _("CSV (.csv)")
    GZIP = "csv.gz", _("Compressed CSV (.csv.gz)")
    ZIP = "zip", _("ZIP with one CSV an office (.zip)")


class Audience(models.TextChoices):
    """Who reads the file decides about line ends and about cells that look like formulas."""

    PEOPLE = "people", _("For people: a spreadsheet runs no cell as a formula")
    MACHINES = "machines", _("For machines: every cell as it is stored")


class Encoding(models.TextChoices):
    UTF_8_BOM = "utf-8-sig", _("UTF-8 with a byte order mark (Excel)")
    UTF_8 = "utf-8", _("UTF-8")
    CP949 = "cp949", _("CP949 (old Korean programs)")


class HeaderStyle(models.TextChoices):
    KOREAN = "korean", _("Korean")
    ENGLISH = "english", _("English")
    MACHINE = "machine", _("Names for programs")


class ExportState(models.TextChoices):
    """
    waiting ──claim──▶ running ──▶ ready ──▶ expired   the file's time is over
       ▲                  │  │        └────▶ deleted   by an operator
       └──lease, outage───┘  └──▶ failed
    waiting, running ──▶ cancelled
    """

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    EXPIRED = "expired", _("Expired")
    DELETED = "deleted", _("Deleted")


class ExportFailure(models.TextChoices):
    FILE = "file", _("The file could not be written")
    DATABASE = "database", _("The database was away")
    LOST = "lost", _("The worker was lost")
    BUG = "bug", _("Fault in the program")


OPEN_EXPORT_STATES = (ExportState.WAITING, ExportState.RUNNING)
FILELESS_EXPORT_STATES = (
    ExportState.FAILED,
    ExportState.CANCELLED,
    ExportState.EXPIRED,
    ExportState.DELETED,
)


class ExportChoices(models.Model):
    """What an export and a schedule of exports have in common: which rows, in which form."""

    dataset = models.CharField(
        _("dataset"), max_length=20, choices=Dataset.choices, default=Dataset.TIMETABLE
    )
    weeks = models.PositiveSmallIntegerField(
        _("number of weeks"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(53)],
    )
    levels = ArrayField(
        models.CharField(max_length=10, choices=Level.choices),
        verbose_name=_("school levels"),
        blank=True,
        default=list,
        help_text=_("None: all levels."),
    )
    offices = ArrayField(
        models.CharField(max_length=10),
        verbose_name=_("education offices"),
        blank=True,
        default=list,
        help_text=_("None: all offices."),
    )
    schools = ArrayField(
        models.CharField(max_length=10),
        verbose_name=_("schools"),
        blank=True,
        default=list,
        help_text=_("None: all schools."),
    )
    file_format = models.CharField(
        _("file format"), max_length=6, choices=FileFormat.choices, default=FileFormat.CSV
    )
    audience = models.CharField(
        _("made for"), max_length=8, choices=Audience.choices, default=Audience.PEOPLE
    )
    encoding = models.CharField(
        _("encoding"), max_length=9, choices=Encoding.choices, default=Encoding.UTF_8_BOM
    )
    header = models.CharField(
        _("header"), max_length=7, choices=HeaderStyle.choices, default=HeaderStyle.KOREAN
    )

    class Meta:
        abstract = True


class ExportSchedule(ExportChoices):
    """An export that is asked for again and again, of weeks that move with the due time.

    `periodic_task` is the one place where the schedule and the switch stand, as it is for jobs.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    window_offset = models.SmallIntegerField(
        _("first week"),
        default=-1,
        validators=[MinValueValidator(-52), MaxValueValidator(52)],
        help_text=_("In weeks from the week of the export: -1 is the week before it."),
    )
    periodic_task = models.OneToOneField(
        PeriodicTask,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="export_schedule",
        verbose_name=_("periodic task"),
    )
    # As they are on a job.
    settled_until = models.DateTimeField(null=True, blank=True, editable=False)
    settled_schedule = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name = _("scheduled export")
        verbose_name_plural = _("scheduled exports")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Export(ExportChoices):
    """One file that was asked for. The row outlives the file: it says who had what, and when.

    `attempt` grows with every claim and is the fence, as it is for school fetches. The file's
    name in the storage is made of `id` and `attempt`, so that no two attempts share a file.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    first_monday = models.DateField(_("first week"), null=True, blank=True)
    schedule = models.ForeignKey(
        ExportSchedule,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="exports",
        verbose_name=_("scheduled export"),
    )
    due_at = models.DateTimeField(_("due"), null=True, blank=True, editable=False)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("asked for by"),
    )
    asked_at = models.DateTimeField(_("asked for"))
    state = models.CharField(
        _("state"), max_length=10, choices=ExportState.choices, default=ExportState.WAITING
    )
    planned_rows = models.PositiveBigIntegerField(_("rows planned"), default=0)
    planned_bytes = models.PositiveBigIntegerField(_("size planned"), default=0)
    attempt = models.PositiveSmallIntegerField(_("attempts"), default=0)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True)
    task_id = models.UUIDField(_("task"), null=True, blank=True)
    rows = models.PositiveBigIntegerField(_("rows"), default=0)
    size = models.PositiveBigIntegerField(_("size"), default=0)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    manifest = models.JSONField(_("manifest"), null=True, blank=True)
    file_name = models.CharField(max_length=100, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    expires_at = models.DateTimeField(_("kept until"), null=True, blank=True)
    failure = models.CharField(
        _("reason of the failure"), max_length=10, choices=ExportFailure.choices, blank=True
    )
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "due_at"], name="export_once_for_each_due_time"
            ),
        ]
        indexes = [
            models.Index(
                fields=["asked_at"],
                condition=models.Q(state__in=["waiting", "running"]),
                name="export_open",
            ),
            models.Index(fields=["-asked_at", "-id"], name="export_asked_at"),
            models.Index(
                fields=["expires_at"], condition=models.Q(state="ready"), name="export_ready"
            ),
        ]
        permissions = [("export_data", _("Can export data"))]

    def __str__(self) -> str:
        return f"{self.get_dataset_display()} {self.first_monday or ''}".strip()
