"""Sends messages by email and webhook, each at most once."""

import logging
import smtplib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import requests
from django.core.mail import EmailMessage
from django.db.models import F

from collection.alerting.texts import Text, text_of
from collection.models import AlertMessage, Channel, MessageState

logger = logging.getLogger(__name__)

MOST_TRIES = 5
_AGAIN_AFTER = timedelta(minutes=1)
_WEBHOOK_SECONDS = (5, 10)

Send = Callable[[Text], None]
Channels = Mapping[Channel, Send]
"""How to send by each channel that is set up. A sender raises Refused or Unknown."""


class Refused(Exception):
    """Nothing arrived, for certain: it can be sent again. The message names no address."""


class Unknown(Exception):
    """Nobody knows whether it arrived: it is not sent a second time."""


def deliver(*, now: datetime, channels: Channels) -> None:
    due = AlertMessage.objects.filter(
        state=MessageState.WAITING, next_try_at__lte=now, channel__in=list(channels)
    )
    for message in due.select_related("alert__job", "alert__run", "alert__asked_by"):
        if _claim(message):
            _send(message, channels[Channel(message.channel)], now)


def _claim(message: AlertMessage) -> bool:
    return bool(
        AlertMessage.objects.filter(pk=message.pk, state=MessageState.WAITING).update(
            state=MessageState.SENDING, tries=F("tries") + 1
        )
    )


def _send(message: AlertMessage, send: Send, now: datetime) -> None:
    mine = AlertMessage.objects.filter(pk=message.pk, state=MessageState.SENDING)
    try:
        send(text_of(message.alert, message.event))
    except Refused as error:
        logger.warning("Alert %s was refused: %s", message, error)
        last = message.tries + 1 >= MOST_TRIES
        mine.update(
            state=MessageState.FAILED if last else MessageState.WAITING,
            next_try_at=now + _AGAIN_AFTER * 2**message.tries,
            error=str(error)[:100],
        )
    except Unknown as error:
        logger.warning("Alert %s may not have arrived: %s", message, error)
        mine.update(state=MessageState.FAILED, error=str(error)[:100])
    else:
        mine.update(state=MessageState.SENT, sent_at=now, error="")


def by_email(recipients: list[str]) -> Send:
    def send(text: Text) -> None:
        try:
            EmailMessage(subject=text.title, body=text.body, to=recipients).send()
        except (ConnectionError, smtplib.SMTPConnectError, smtplib.SMTPRecipientsRefused) as error:
            raise Refused(type(error).__name__) from None
        except (OSError, smtplib.SMTPException) as error:
            raise Unknown(type(error).__name__) from None

    return send


def by_webhook(address: str) -> Send:
    """In the form of Slack's incoming webhooks. The address is a secret: no error names it."""

    def send(text: Text) -> None:
        with requests.Session() as session:
            session.trust_env = False
            try:
                response = session.post(
                    address,
                    json={"text": f"*{text.title}*\n{text.body}"},
                    timeout=_WEBHOOK_SECONDS,
                    allow_redirects=False,
                )
            except requests.ReadTimeout:
                raise Unknown("ReadTimeout") from None
            except requests.RequestException as error:
                raise Refused(type(error).__name__) from None
        if response.status_code >= 300:
            raise Refused(f"HTTP {response.status_code}")

    return send
