"""Does the scheduler's part while the scheduler is silent: a thread of every worker for control."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from celery.bootsteps import StartStopStep
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from kombu.exceptions import OperationalError as BrokerError

from collection import heartbeats, tasks
from collection.own_connection import unpooled
from collection.schedulable import CONTROL_QUEUE

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 5.0
_STOP_SECONDS = 5.0
_ALERT_EVERY_SECONDS = 30.0


class Watcher(StartStopStep):
    """In the worker's main process, beside any kind of pool: it needs no free slot of it."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._stop = Event()
        self._thread: Thread | None = None

    def include_if(self, parent: Any) -> bool:
        return CONTROL_QUEUE in parent.app.amqp.queues.consume_from

    def start(self, parent: Any) -> None:
        self._thread = Thread(target=watch, args=(self._stop,), name="watcher", daemon=True)
        self._thread.start()

    def stop(self, parent: Any) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    terminate = stop


def watch(stop: Event) -> None:
    """Until `stop` is set. Outages of the database and the broker are waited out."""
    connections[DEFAULT_DB_ALIAS] = unpooled()
    silent = False
    alerted_at = -_ALERT_EVERY_SECONDS
    try:
        while not stop.wait(tasks.PUMP_SECONDS if silent else _LOOK_EVERY_SECONDS):
            silent = _look(was_silent=silent)
            if silent and time.monotonic() - alerted_at >= _ALERT_EVERY_SECONDS:
                alerted_at = time.monotonic()
                with _outlasting():
                    tasks.send_alerts()
    finally:
        connections[DEFAULT_DB_ALIAS].close()


def _look(*, was_silent: bool) -> bool:
    """Whether the scheduler is silent; if so, one stroke of the pump."""
    silent = was_silent
    with _outlasting():
        silent = heartbeats.is_silent(heartbeats.SCHEDULER)
        if silent != was_silent:
            _say(silent)
        if silent:
            tasks.stroke(heartbeat=heartbeats.WATCHER)
    return silent


@contextmanager
def _outlasting() -> Iterator[None]:
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        connections[DEFAULT_DB_ALIAS].close()
        logger.warning("The watcher waits for the database: %s", type(error).__name__)
    except BrokerError as error:
        logger.warning("The watcher waits for the broker: %s", type(error).__name__)
    except Exception:
        logger.exception("The watcher could not do the scheduler's part.")


def _say(silent: bool) -> None:
    if silent:
        logger.warning("No scheduler is at work: this worker does its part.")
    else:
        logger.info("The scheduler is at work again.")
