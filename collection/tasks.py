"""What Celery runs. A message is a hint: PostgreSQL decides whether there is anything to do."""

import math
import uuid
from collections.abc import Iterable
from typing import Any

from celery import Task, current_app, shared_task
from kombu import Queue
from kombu.exceptions import OperationalError as BrokerError

from collection import (
    coverage,
    due,
    export_files,
    export_making,
    export_schedules,
    exports,
    fetching,
    held,
    pumping,
    retention,
    switching,
)
from collection.alerting import noticing
from collection.alerting.channels import configured
from collection.clock import database_now
from collection.heartbeats import SCHEDULER
from collection.schedulable import (
    CLEAN_RESULTS,
    EXPIRE_EXPORTS,
    PUMP,
    REFRESH_COVERAGE,
    RETENTION,
    SEND_ALERTS,
    START_DUE,
    START_DUE_EXPORT,
)

FETCH_QUEUES = "fetch."
EXPORT_QUEUE = "export"
PUMP_SECONDS = 2
# Some ten seconds of work.
SCHOOLS_OF_ONE_MESSAGE = 300


# The ledger says who works on a fetch since when: Celery need not write it down a second time.
@shared_task(bind=True, name="collection.fetch_school", max_retries=None, track_started=False)
def fetch_school(self: "Task[Any, Any]", fetch_id: int) -> dict[str, Any]:
    """One attempt at one school, or at the school list.

    Celery's own retry carries the next, when it is soon.
    """
    outcome = fetching.fetch_school(
        fetch_id,
        worker=self.request.hostname or "",
        task_id=uuid.UUID(self.request.id) if self.request.id else None,
    )
    if outcome.retry_in_seconds is not None:
        raise self.retry(
            # Whole seconds are all that RabbitMQ delays by: it may come late, never early.
            countdown=math.ceil(outcome.retry_in_seconds),
            exc=RetryLater(outcome.error),
            queue=queue_of(self.request.delivery_info),
        )
    return {"fetch": fetch_id, "state": outcome.state and outcome.state.value}


def queue_of(delivery: Any) -> str:
    """What RabbitMQ delayed comes with the delay before its routing key, and Celery would send
    its next retry to the default queue."""
    _, found, kind = str((delivery or {}).get("routing_key")).rpartition(FETCH_QUEUES)
    return found + kind if found else str(current_app.conf.task_default_queue)


class RetryLater(Exception):
    """The reason that Celery keeps beside a retry."""


@shared_task(name=PUMP, ignore_result=True)
def pump() -> None:
    stroke(heartbeat=SCHEDULER)


def stroke(*, heartbeat: str = "") -> pumping.Pumped:
    """All that is to be done every few seconds, by whoever does it."""
    pumped = pumping.pump(publish=publish, queued=queued, heartbeat=heartbeat)
    export_schedules.settle(now=database_now())
    for export_id in exports.take_due(
        queued=lambda: _waiting_in([current_app.amqp.queues[EXPORT_QUEUE]])
    ):
        make_export.apply_async(args=(export_id,), queue=EXPORT_QUEUE)
    if held.any_accepted():
        # The next stroke sends another for what is left.
        store_accepted.apply_async(expires=PUMP_SECONDS * 2)
    return pumped


@shared_task(bind=True, name="collection.make_export")
def make_export(self: "Task[Any, Any]", export_id: str) -> dict[str, Any]:
    state = export_making.make(
        export_id,
        worker=self.request.hostname or "",
        task_id=uuid.UUID(self.request.id) if self.request.id else None,
    )
    return {"export": export_id, "state": state and state.value}


@shared_task(
    name="collection.store_accepted", ignore_result=True, store_errors_even_if_ignored=True
)
def store_accepted() -> None:
    held.store_accepted(most_schools=SCHOOLS_OF_ONE_MESSAGE)


@shared_task(name=START_DUE_EXPORT, ignore_result=True)
def start_due_export(schedule: int) -> None:
    """Beat says that a scheduled export is due; whether it is, its row tells."""
    export_schedules.settle(now=database_now())


@shared_task(name=EXPIRE_EXPORTS, ignore_result=True)
def expire_exports() -> None:
    exports.expire_due()
    if exports.leave_files():
        sweep_exports.apply_async(queue=EXPORT_QUEUE, expires=60)


@shared_task(name="collection.sweep_exports", ignore_result=True)
def sweep_exports() -> None:
    """On the queue of exports: files are thrown away where they are written."""
    export_files.sweep()


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
    coverage.forget()
    return {"weeks": [str(monday) for monday in removed.weeks], "rows": removed.rows}


@shared_task(name=REFRESH_COVERAGE, ignore_result=True)
def refresh_coverage() -> None:
    coverage.refresh()


def publish(fetch_id: int, kind: str) -> None:
    fetch_school.apply_async(args=(fetch_id,), queue=f"{FETCH_QUEUES}{kind}")


def queued() -> int:
    """The messages that wait in the queues of fetches."""
    return _waiting_in(
        queue for name, queue in current_app.amqp.queues.items() if name.startswith(FETCH_QUEUES)
    )


def _waiting_in(queues: Iterable[Queue]) -> int:
    """Raises BrokerError, as publishing does: the broker's own errors differ from one to another."""
    with current_app.connection_for_read() as broker:
        # No longer than publishing tries: by itself a channel holds the pump for six seconds.
        broker.ensure_connection(**current_app.conf.task_publish_retry_policy)
        try:
            channel: Any = broker.default_channel
            # Declared as Celery does, and so made where there is none yet.
            return sum(
                channel.queue_declare(
                    queue=queue.name,
                    durable=queue.durable,
                    auto_delete=queue.auto_delete,
                    arguments=queue.queue_arguments,
                ).message_count
                for queue in queues
            )
        except (*broker.connection_errors, *broker.channel_errors) as error:
            raise BrokerError(type(error).__name__) from error


def workers() -> list[str]:
    """The names of the workers that answer within a second."""
    replies = current_app.control.ping(timeout=1.0) or []
    return [name for reply in replies for name in reply]
