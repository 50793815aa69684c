"""What Celery runs. A message is a hint: PostgreSQL decides whether there is anything to do."""

import uuid
from typing import Any

from celery import Task, current_app, shared_task

from collection import coverage, due, fetching, pumping, retention, switching
from collection.alerting import noticing
from collection.alerting.channels import configured
from collection.clock import database_now
from collection.heartbeats import SCHEDULER
from collection.schedulable import (
    CLEAN_RESULTS,
    PUMP,
    REFRESH_COVERAGE,
    RETENTION,
    SEND_ALERTS,
    START_DUE,
)

FETCH_QUEUES = "fetch."
PUMP_SECONDS = 2


# The ledger says who works on a fetch since when: Celery need not write it down a second time.
@shared_task(bind=True, name="collection.fetch_school", max_retries=None, track_started=False)
def fetch_school(self: "Task[Any, Any]", fetch_id: int) -> dict[str, Any]:
    """One attempt at one school, or at the school list. Celery's own retry carries the next, when it is soon."""
    outcome = fetching.fetch_school(
        fetch_id,
        worker=self.request.hostname or "",
        task_id=uuid.UUID(self.request.id) if self.request.id else None,
    )
    if outcome.retry_in_seconds is not None:
        raise self.retry(countdown=outcome.retry_in_seconds, exc=RetryLater(outcome.error))
    return {"fetch": fetch_id, "state": outcome.state and outcome.state.value}


class RetryLater(Exception):
    """The reason that Celery keeps beside a retry."""


@shared_task(name=PUMP, ignore_result=True)
def pump() -> None:
    pumping.pump(publish=publish, queued=queued, heartbeat=SCHEDULER)


@shared_task(name=START_DUE)
def start_due(job: int) -> dict[str, list[int]]:
    """Beat says that a job is due; whether it is, its row and its schedule tell."""
    switching.forget_deleted(job)
    return {"runs": [run.pk for run in due.settle(now=database_now(), jobs=[job])]}


@shared_task(name=CLEAN_RESULTS)
def clean_results() -> None:
    current_app.backend.cleanup()


@shared_task(name=SEND_ALERTS, ignore_result=True)
def send_alerts() -> None:
    noticing.notice_and_send(now=database_now(), channels=configured())


@shared_task(name=RETENTION)
def apply_retention() -> dict[str, Any]:
    """Once a day: what is old goes, what is to come is made."""
    removed = retention.apply(database_now())
    return {"weeks": [str(monday) for monday in removed.weeks], "rows": removed.rows}


@shared_task(name=REFRESH_COVERAGE, ignore_result=True)
def refresh_coverage() -> None:
    coverage.refresh()


def publish(fetch_id: int, kind: str) -> None:
    fetch_school.apply_async(args=(fetch_id,), queue=f"{FETCH_QUEUES}{kind}")


def queued() -> int:
    """The messages that wait in the queues of fetches."""
    with current_app.connection_for_read() as broker:
        channel: Any = broker.default_channel
        return sum(
            channel.queue_declare(queue=name, durable=True, auto_delete=False).message_count
            for name in current_app.amqp.queues
            if name.startswith(FETCH_QUEUES)
        )


def workers() -> list[str]:
    """The names of the workers that answer within a second."""
    replies = current_app.control.ping(timeout=1.0) or []
    return [name for reply in replies for name in reply]
