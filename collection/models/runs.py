"""The ledger: runs, their school fetches, and every attempt at one."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models.jobs import Dataset, Job
from collection.models.schools import Level, School


class Trigger(models.TextChoices):
    SCHEDULE = "schedule", _("Schedule")
    MANUAL = "manual", _("By hand")
    CATCH_UP = "catch_up", _("Catch-up")
    RETRY = "retry", _("Retry")


class RunState(models.TextChoices):
    """
    planned as a whole
        │
        ▼        quota, outage, keys, operator
    running ◀──────────────────────────────────▶ paused
        │ no open fetch is left                     │
        ├──▶ completed   every fetch succeeded      │
        ├──▶ incomplete  some failed or are held    │
        └──▶ cancelled ◀────────────────────────────┘

    skipped: a due time that no run was started for; `skip_reason` says why
    """

    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    COMPLETED = "completed", _("Completed")
    INCOMPLETE = "incomplete", _("Ended with failures")
    CANCELLED = "cancelled", _("Cancelled")
    SKIPPED = "skipped", _("Skipped")


OPEN_RUN_STATES = (RunState.RUNNING, RunState.PAUSED)
FINAL_RUN_STATES = (
    RunState.COMPLETED,
    RunState.INCOMPLETE,
    RunState.CANCELLED,
    RunState.SKIPPED,
)


class PauseReason(models.TextChoices):
    OPERATOR = "operator", _("Paused by an operator")
    QUOTA = "quota", _("The daily limit of every key is spent")
    KEYS = "keys", _("NEIS refuses every key")
    GUARD = "guard", _("Too many schools would lose what is stored")
    OVERLAP = "overlap", _("An earlier run of the job is still open")


class SkipReason(models.TextChoices):
    OVERLAP = "overlap", _("An earlier run was still open")
    MISSED = "missed", _("The due time was missed")
    NO_SCHOOLS = "no_schools", _("No school matched")
    NO_KEY = "no_key", _("There was no API key")


class Run(models.Model):
    """One execution: which schools, which weeks, and what came of it."""

    job = models.ForeignKey(
        Job,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="runs",
        verbose_name=_("collection job"),
    )
    dataset = models.CharField(
        _("dataset"), max_length=20, choices=Dataset.choices, default=Dataset.TIMETABLE
    )
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    retry_of = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="retries",
        verbose_name=_("retry of"),
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("started by"),
    )
    trigger = models.CharField(_("trigger"), max_length=10, choices=Trigger.choices)
    state = models.CharField(
        _("state"), max_length=10, choices=RunState.choices, default=RunState.RUNNING
    )
    pause_reason = models.CharField(
        _("reason of the pause"), max_length=10, choices=PauseReason.choices, blank=True
    )
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    skip_reason = models.CharField(
        _("reason of the skip"), max_length=10, choices=SkipReason.choices, blank=True
    )
    levels = ArrayField(
        models.CharField(max_length=10, choices=Level.choices),
        verbose_name=_("school levels"),
        default=list,
    )
    offices = ArrayField(
        models.CharField(max_length=10), verbose_name=_("education offices"), default=list
    )
    first_monday = models.DateField(_("first week"))
    weeks = models.PositiveSmallIntegerField(_("number of weeks"))
    priority = models.PositiveSmallIntegerField(_("priority"), default=5)
    most_at_once = models.PositiveIntegerField(
        _("most schools at the same time"), null=True, blank=True
    )
    created_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    # Paused by the guard for what it would take away, and when an operator said to go on.
    guarded_at = models.DateTimeField(_("paused by the guard"), null=True, blank=True)
    guard_seen_at = models.DateTimeField(_("seen by an operator"), null=True, blank=True)

    class Meta:
        verbose_name = _("collection run")
        verbose_name_plural = _("collection runs")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "due_at"], name="run_once_for_each_due_time"),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(state__in=["running", "paused"]), name="run_open"
            ),
            models.Index(fields=["job", "-id"], name="run_job"),
            models.Index(fields=["created_at"], name="run_created_at"),
        ]
        permissions = [
            ("operate_run", _("Can start, pause, resume, cancel and retry collection runs")),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class FetchState(models.TextChoices):
    """
    waiting ──claim──▶ running ──▶ succeeded  every week stored or unchanged
       ▲                  │  ├───▶ empty      NEIS has no row in the window
       │                  │  ├───▶ held       a week waits for an operator
       └──retry, lease,───┘  └───▶ failed
          second look
    waiting, running ──▶ cancelled
    """

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    EMPTY = "empty", _("No data")
    HELD = "held", _("Held")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN_FETCH_STATES = (FetchState.WAITING, FetchState.RUNNING)


class ErrorClass(models.TextChoices):
    TIMED_OUT = "timed_out", _("No answer in time")
    CONNECTION_FAILED = "connection_failed", _("Connection failed")
    SERVER_FAULT = "server_fault", _("NEIS reports a fault of its own")
    THROTTLED = "throttled", _("NEIS asks to slow down")
    MALFORMED = "malformed", _("The answer is not what NEIS sends")
    INCOMPLETE = "incomplete", _("The answer has gaps")
    TRANSIENT = "transient", _("Unknown answer of NEIS")
    DEADLINE = "deadline", _("The time for the school was over")
    BAD_REQUEST = "bad_request", _("NEIS refuses the request")
    KEY_MISSING = "key_missing", _("There is no API key")
    KEY_SPENT = "key_spent", _("The daily limit is spent")
    KEY_REFUSED = "key_refused", _("NEIS refuses the API key")
    LIST_REFUSED = "list_refused", _("The school list lost too many schools")
    DATABASE = "database", _("The database was away")
    LOST = "lost", _("The worker was lost")
    CRASHED = "crashed", _("Every worker that tried was lost")
    BUG = "bug", _("Fault in the program")


UPSTREAM_FAULTS = (
    ErrorClass.TIMED_OUT,
    ErrorClass.CONNECTION_FAILED,
    ErrorClass.SERVER_FAULT,
    ErrorClass.MALFORMED,
    ErrorClass.TRANSIENT,
)
"""What NEIS does when it is down, and now and then when it is not."""


class SchoolFetch(models.Model):
    """One school in one run: the unit of work, of retry, of failure and of one message.

    `attempt` grows with every claim and is the fence: a write that names another number than
    the row's is refused. `failures` counts only the attempts that failed on the fetch's own
    account, and is what the cap is held against. Without a `school` it asks for the school list.
    `retried_by` is the fetch of a later run that an operator started in place of a failed one.
    """

    # The index is `fetch_run`, which also pages through the fetches of a run.
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="fetches", db_index=False)
    school = models.ForeignKey(
        School, on_delete=models.PROTECT, null=True, blank=True, related_name="fetches"
    )
    state = models.CharField(
        _("state"), max_length=10, choices=FetchState.choices, default=FetchState.WAITING
    )
    attempt = models.PositiveSmallIntegerField(_("attempts"), default=0)
    failures = models.PositiveSmallIntegerField(_("failed attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True)
    task_id = models.UUIDField(_("task"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    error_class = models.CharField(
        _("class of error"), max_length=20, choices=ErrorClass.choices, blank=True
    )
    error_code = models.CharField(_("code"), max_length=20, blank=True)
    error_message = models.TextField(_("message"), blank=True)
    requests = models.PositiveIntegerField(_("requests"), default=0)
    received = models.PositiveIntegerField(_("entries received"), default=0)
    duplicate = models.PositiveIntegerField(_("duplicate entries"), default=0)
    rejected = models.PositiveIntegerField(_("rejected entries"), default=0)
    stored = models.PositiveIntegerField(_("entries stored"), default=0)
    unchanged = models.PositiveIntegerField(_("entries unchanged"), default=0)
    held = models.PositiveIntegerField(_("entries held"), default=0)
    removed = models.PositiveIntegerField(_("entries removed"), default=0)
    nul_removed = models.PositiveIntegerField(_("U+0000 removed"), default=0)
    retried_by = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="retry_for",
        verbose_name=_("retried by"),
    )

    class Meta:
        verbose_name = _("school fetch")
        verbose_name_plural = _("school fetches")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "school"], name="fetch_once_in_each_run", nulls_distinct=False
            ),
        ]
        indexes = [
            models.Index(fields=["run", "id"], name="fetch_run"),
            models.Index(fields=["run", "state"], name="fetch_run_state"),
            models.Index(fields=["school", "-id"], name="fetch_school"),
            models.Index(
                fields=["run", "id"], condition=models.Q(state="waiting"), name="fetch_waiting"
            ),
            models.Index(
                fields=["lease_until"], condition=models.Q(state="running"), name="fetch_running"
            ),
            models.Index(
                fields=["finished_at", "id"],
                condition=models.Q(state="failed"),
                name="fetch_failed_at",
            ),
            models.Index(
                fields=["error_class", "error_code", "finished_at", "id"],
                include=["retried_by"],
                condition=models.Q(state="failed"),
                name="fetch_failed_class",
            ),
            models.Index(
                fields=["school", "id"],
                condition=models.Q(state="failed"),
                name="fetch_failed_school",
            ),
            models.Index(
                fields=["finished_at"],
                include=["attempt", "school"],
                condition=models.Q(attempt__gt=1),
                name="fetch_retried_at",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class AttemptOutcome(models.TextChoices):
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    POSTPONED = "postponed", _("Put off, at no cost")
    LOST = "lost", _("The worker was lost")


class Attempt(models.Model):
    """One ended try of a school fetch, linked by `task_id` to the outcome Celery kept of it."""

    fetch = models.ForeignKey(SchoolFetch, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField(_("number"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=AttemptOutcome.choices)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    worker = models.CharField(_("worker"), max_length=100, blank=True)
    task_id = models.UUIDField(_("task"), null=True, blank=True)
    requests = models.PositiveIntegerField(_("requests"), default=0)
    error_class = models.CharField(
        _("class of error"), max_length=20, choices=ErrorClass.choices, blank=True
    )
    error_code = models.CharField(_("code"), max_length=20, blank=True)
    error_message = models.TextField(_("message"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["fetch", "number"], name="attempt_number_in_fetch"),
        ]
        indexes = [
            models.Index(
                fields=["finished_at"],
                condition=models.Q(outcome__in=["failed", "postponed", "lost"]),
                name="attempt_failed_at",
            ),
            models.Index(
                fields=["error_class", "error_code", "finished_at", "id"],
                condition=models.Q(outcome__in=["failed", "postponed", "lost"]),
                name="attempt_failed_class",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fetch_id}/{self.number}"


class RejectedRow(models.Model):
    """A row of NEIS that could not be read, kept whole with the reason."""

    fetch = models.ForeignKey(SchoolFetch, on_delete=models.CASCADE, related_name="rejected_rows")
    reason = models.CharField(_("reason"), max_length=20)
    row = models.JSONField(_("row"))

    class Meta:
        verbose_name = _("rejected row")
        verbose_name_plural = _("rejected rows")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.reason
