"""The channels that the settings name."""

from django.conf import settings

from collection.alerting.delivering import Channels, Send, by_email, by_webhook
from collection.models import Channel


def configured() -> Channels:
    channels: dict[Channel, Send] = {}
    if settings.ALERT_EMAILS:
        channels[Channel.EMAIL] = by_email(settings.ALERT_EMAILS)
    if settings.ALERT_WEBHOOK_URL:
        channels[Channel.WEBHOOK] = by_webhook(settings.ALERT_WEBHOOK_URL)
    return channels
