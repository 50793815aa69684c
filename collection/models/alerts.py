"""What somebody was told about, and what was sent to whom."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from collection.models.jobs import Job
from collection.models.runs import ErrorClass, Run


class AlertKind(models.TextChoices):
    FAILURES = "failures", _("Schools failed")
    LATE = "late", _("A run is late")
    MISSED = "missed", _("A due time passed without a run")
    QUOTA = "quota", _("The daily limit of every key is spent")
    KEYS = "keys", _("NEIS refuses every key")
    GUARD = "guard", _("Too many schools would lose what is stored")
    HELD = "held", _("Held weeks wait for a decision")
    OUTAGE = "outage", _("NEIS is down")
    STALLED = "stalled", _("Work is due and nothing moves")
    SCHEDULER = "scheduler", _("The scheduler is silent")
    TEST = "test", _("A test")


class Alert(models.Model):
    """A condition from when it was first seen until it was gone: one row, however long it lasts.

    `subject` names what it is about, such as "run:12:server_fault"; of each kind and subject one
    alert is open at a time.
    """

    kind = models.CharField(_("kind"), max_length=10, choices=AlertKind.choices)
    subject = models.CharField(_("about"), max_length=100)
    job = models.ForeignKey(
        Job,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("collection job"),
    )
    run = models.ForeignKey(
        Run,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("collection run"),
    )
    error_class = models.CharField(
        _("class of error"), max_length=20, choices=ErrorClass.choices, blank=True
    )
    count = models.PositiveIntegerField(_("number"), default=0)
    of = models.PositiveIntegerField(_("of"), default=0)
    since = models.DateTimeField(_("since"), null=True)
    opened_at = models.DateTimeField(_("noticed"))
    closed_at = models.DateTimeField(_("well again"), null=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("asked for by"),
    )

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=models.Q(closed_at__isnull=True),
                name="alert_open_once",
            ),
        ]
        permissions = [("test_alert", _("Can send a test alert"))]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.subject})"


class Channel(models.TextChoices):
    EMAIL = "email", _("Email")
    WEBHOOK = "webhook", _("Webhook")


class AlertEvent(models.TextChoices):
    OPENED = "opened", _("Opened")
    CLOSED = "closed", _("Well again")


class MessageState(models.TextChoices):
    """
    waiting ──▶ sending ──▶ sent
       ▲           ├──────▶ failed   refused too often, or nobody knows whether it arrived
       └───────────┘ refused, again later
    """

    WAITING = "waiting", _("Waiting")
    SENDING = "sending", _("Under way")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Not sent")


class AlertMessage(models.Model):
    """One message by one channel. It is marked as under way before it goes out, so that a process
    that dies then leaves it unsent rather than sends it twice."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="messages")
    event = models.CharField(_("event"), max_length=10, choices=AlertEvent.choices)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    state = models.CharField(
        _("state"), max_length=10, choices=MessageState.choices, default=MessageState.WAITING
    )
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    next_try_at = models.DateTimeField(_("next try"))
    sent_at = models.DateTimeField(_("sent"), null=True)
    error = models.CharField(_("error"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("alert message")
        verbose_name_plural = _("alert messages")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "event", "channel"], name="message_once_by_each_channel"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(state="waiting"),
                name="alert_message_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.event} {self.channel}"
