"""The page of alerts and its test button."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from collection.alerting.channels import configured
from collection.alerting.noticing import notice_and_send
from collection.models import Alert, AlertKind, AlertMessage, MessageState
from dashboard.roles import OPERATOR, VIEWER
from tests.dashboard.people import client_of

pytestmark = pytest.mark.django_db

PAGE = "/admin/alerts/"


def _alerts(count: int) -> None:
    now = timezone.now()
    for number in range(count):
        alert = Alert.objects.create(kind=AlertKind.HELD, subject=str(number), opened_at=now)
        AlertMessage.objects.create(
            alert=alert, event="opened", channel="email", state=MessageState.SENT, next_try_at=now
        )


def test_page_shows_alerts_and_what_was_sent_in_the_same_number_of_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    viewer = client_of(VIEWER)
    _alerts(30)
    with django_assert_max_num_queries(2 + 10):
        text = viewer.get(PAGE).content.decode()
    assert text.count("Held weeks wait for a decision") == 30
    assert text.count("Opened: Sent") == 30


def test_test_message_arrives_and_is_in_the_log(settings: Any) -> None:
    settings.ALERT_EMAILS = ["ops@example.kr"]
    operator = client_of(OPERATOR)
    assert operator.post(f"{PAGE}test/").status_code == 302
    notice_and_send(now=timezone.now(), channels=configured())
    assert [message.to for message in mail.outbox] == [["ops@example.kr"]]
    assert LogEntry.objects.get().object_id == str(Alert.objects.get().pk)
    assert "Opened: Sent" in operator.get(PAGE).content.decode()


def test_button_says_what_to_set_when_there_is_no_channel(settings: Any) -> None:
    settings.ALERT_EMAILS, settings.ALERT_WEBHOOK_URL = [], ""
    answer = client_of(OPERATOR).post(f"{PAGE}test/", follow=True)
    assert "ALERT_EMAILS" in answer.content.decode()
    assert not Alert.objects.exists()


def test_viewer_has_no_button_and_is_refused(settings: Any) -> None:
    settings.ALERT_EMAILS = ["ops@example.kr"]
    viewer = client_of(VIEWER)
    assert f"{PAGE}test/" not in viewer.get(PAGE).content.decode()
    assert viewer.post(f"{PAGE}test/").status_code == 403
    assert not Alert.objects.exists()
