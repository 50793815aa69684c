"""Opens an alert for each new condition, closes those that are gone, and sends what is due."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from collection.alerting import conditions, delivering
from collection.alerting.conditions import Condition
from collection.models import Alert, AlertEvent, AlertKind, AlertMessage

_LOCK_KEY = 7_305_004


def notice_and_send(*, now: datetime, channels: delivering.Channels) -> None:
    """Safe to call anywhere, any number of times: one caller notices, each message has one sender."""
    with transaction.atomic():
        if _alone():
            _notice(conditions.read(now), now, channels)
    delivering.deliver(now=now, channels=channels)


def ask_for_test(*, now: datetime, channels: delivering.Channels, user_id: int | None) -> Alert:
    """An alert that means nothing but that messages arrive. It is sent with the next look."""
    with transaction.atomic():
        alert = Alert.objects.create(
            kind=AlertKind.TEST,
            subject=f"test:{now.isoformat()}",
            opened_at=now,
            closed_at=now,
            asked_by_id=user_id,
        )
        _queue([alert], AlertEvent.OPENED, now, channels)
    return alert


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK_KEY])
        return bool(cursor.fetchone()[0])


def _notice(found: Sequence[Condition], now: datetime, channels: delivering.Channels) -> None:
    current = {(condition.kind.value, condition.subject): condition for condition in found}
    known = {
        (alert.kind, alert.subject): alert for alert in Alert.objects.filter(closed_at__isnull=True)
    }
    opened = Alert.objects.bulk_create(
        _opened(condition, now) for key, condition in current.items() if key not in known
    )
    closed = [alert for key, alert in known.items() if key not in current]
    Alert.objects.filter(pk__in=[alert.pk for alert in closed]).update(closed_at=now)
    _queue(opened, AlertEvent.OPENED, now, channels)
    _queue(closed, AlertEvent.CLOSED, now, channels)


def _opened(condition: Condition, now: datetime) -> Alert:
    return Alert(
        kind=condition.kind,
        subject=condition.subject,
        job_id=condition.job_id,
        run_id=condition.run_id,
        error_class=condition.error_class,
        count=condition.count,
        of=condition.of,
        since=condition.since,
        opened_at=now,
    )


def _queue(
    alerts: Sequence[Alert], event: AlertEvent, now: datetime, channels: delivering.Channels
) -> None:
    AlertMessage.objects.bulk_create(
        AlertMessage(alert=alert, event=event, channel=channel, next_try_at=now)
        for alert in alerts
        for channel in channels
    )
