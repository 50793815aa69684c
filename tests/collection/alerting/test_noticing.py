"""Alerts from the ledger to a real webhook: once when noticed, once when well again."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from collection.alerting import delivering
from collection.alerting.noticing import ask_for_test, notice_and_send
from collection.models import (
    Alert,
    AlertKind,
    AlertMessage,
    Breaker,
    Channel,
    FetchState,
    Heartbeat,
    HeldWeek,
    Job,
    MessageState,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
    SkipReason,
    UpstreamState,
)
from tests.collection.ledger import at_once, make_fetch, make_run, make_school

pytestmark = pytest.mark.django_db


@dataclass
class Receiver:
    """A webhook: notes what it gets, and answers with `statuses` in turn, then with 200."""

    statuses: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.texts.append(json.loads(body)["text"])
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.address = f"http://127.0.0.1:{server.server_port}/secret-path"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def _channels(receiver: Receiver) -> delivering.Channels:
    return {Channel.WEBHOOK: delivering.by_webhook(receiver.address)}


def _job(**columns: object) -> Job:
    return Job.objects.create(**{"name": "고등학교", **columns})


def _run(job: Job, *, states: dict[FetchState, int], **columns: object) -> Run:
    run = make_run(job=job, **columns)
    for state, count in states.items():
        for number in range(count):
            school = make_school(f"{run.pk}{state[:2]}{number}")
            columns = {"error_class": "server_fault"} if state == FetchState.FAILED else {}
            make_fetch(school, run, state=state, finished_at=timezone.now(), **columns)
    return run


def test_failures_are_told_once_for_each_class_and_again_when_they_were_retried(
    receiver: Receiver,
) -> None:
    run = _run(_job(), states={FetchState.SUCCEEDED: 3, FetchState.FAILED: 2})
    now = timezone.now()

    for second in range(3):
        notice_and_send(now=now + timedelta(seconds=second), channels=_channels(receiver))
    assert len(receiver.texts) == 1
    assert receiver.texts[0].startswith(f"*고등학교 #{run.pk}: ")
    later = make_fetch(make_school("again"), make_run())
    SchoolFetch.objects.filter(state=FetchState.FAILED).update(retried_by=later)
    notice_and_send(now=now + timedelta(minutes=1), channels=_channels(receiver))

    assert len(receiver.texts) == 2
    alert = Alert.objects.get()
    assert (alert.kind, alert.run, alert.error_class) == ("failures", run, "server_fault")
    assert (alert.count, alert.of) == (2, 5)
    assert alert.closed_at == now + timedelta(minutes=1)


def test_failures_below_the_threshold_of_the_job_are_not_told(receiver: Receiver) -> None:
    _run(_job(alert_above_percent=50), states={FetchState.SUCCEEDED: 3, FetchState.FAILED: 2})
    _run(_job(name="silent", alert=False), states={FetchState.FAILED: 2})
    notice_and_send(now=timezone.now(), channels=_channels(receiver))
    assert not Alert.objects.exists()


def _late(now: datetime) -> None:
    make_run(job=_job(alert_after_minutes=30), due_at=now - timedelta(minutes=31))


def _missed(now: datetime) -> None:
    make_run(job=_job(), state=RunState.SKIPPED, skip_reason=SkipReason.MISSED, due_at=now)


def _quota(now: datetime) -> None:
    make_run(state=RunState.PAUSED, pause_reason=PauseReason.QUOTA)


def _keys(now: datetime) -> None:
    make_run(state=RunState.PAUSED, pause_reason=PauseReason.KEYS)


def _guard(now: datetime) -> None:
    make_run(state=RunState.PAUSED, pause_reason=PauseReason.GUARD)


def _held(now: datetime) -> None:
    fetch = make_fetch()
    HeldWeek.objects.create(
        fetch=fetch, school=fetch.school, monday=fetch.run.first_monday, digest=b"", payload=b"",
        old_entries=30, new_entries=0, held_at=now,
    )  # fmt: skip


def _scheduler(now: datetime) -> None:
    Heartbeat.objects.create(name="scheduler", seen_at=now - timedelta(minutes=3))


def _outage(now: datetime) -> None:
    UpstreamState.objects.create(state=Breaker.OPEN, since=now, down_since=now)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_late, AlertKind.LATE),
        (_missed, AlertKind.MISSED),
        (_quota, AlertKind.QUOTA),
        (_keys, AlertKind.KEYS),
        (_guard, AlertKind.GUARD),
        (_held, AlertKind.HELD),
        (_scheduler, AlertKind.SCHEDULER),
        (_outage, AlertKind.OUTAGE),
    ],
)
def test_alert_is_opened_when(make: object, kind: AlertKind, receiver: Receiver) -> None:
    now = timezone.now()
    notice_and_send(now=now, channels=_channels(receiver))
    assert receiver.texts == []
    make(now)  # type: ignore[operator]
    notice_and_send(now=now, channels=_channels(receiver))
    assert Alert.objects.get().kind == kind
    assert len(receiver.texts) == 1


def test_message_is_sent_again_when_it_was_refused_and_names_no_address() -> None:
    now = timezone.now()
    with receiving(500, 200) as receiver:
        ask_for_test(now=now, channels=_channels(receiver), user_id=None)
        notice_and_send(now=now, channels=_channels(receiver))
        waiting = AlertMessage.objects.get()
        assert (waiting.state, waiting.error) == (MessageState.WAITING, "HTTP 500")
        notice_and_send(now=now + timedelta(minutes=2), channels=_channels(receiver))
    sent = AlertMessage.objects.get()
    assert (sent.state, sent.tries, sent.error) == (MessageState.SENT, 2, "")
    assert len(receiver.texts) == 2


def test_message_is_given_up_when_it_is_refused_too_often() -> None:
    now = timezone.now()
    with receiving(*[500] * 9) as receiver:
        ask_for_test(now=now, channels=_channels(receiver), user_id=None)
        for hour in range(9):
            notice_and_send(now=now + timedelta(hours=hour), channels=_channels(receiver))
    assert AlertMessage.objects.get().state == MessageState.FAILED
    assert len(receiver.texts) == delivering.MOST_TRIES


@pytest.mark.django_db(transaction=True)
def test_message_is_sent_once_when_many_watch_at_once(
    receiver: Receiver,
) -> None:
    now = timezone.now()
    Heartbeat.objects.create(name="scheduler", seen_at=now - timedelta(minutes=3))
    at_once(lambda number: notice_and_send(now=now, channels=_channels(receiver)), times=6)
    notice_and_send(now=now, channels=_channels(receiver))
    assert len(receiver.texts) == 1


def test_email_goes_to_all_recipients(settings: Any) -> None:
    now = timezone.now()
    channels = {Channel.EMAIL: delivering.by_email(["one@example.kr", "two@example.kr"])}
    ask_for_test(now=now, channels=channels, user_id=None)
    notice_and_send(now=now, channels=channels)
    assert [message.to for message in mail.outbox] == [["one@example.kr", "two@example.kr"]]
