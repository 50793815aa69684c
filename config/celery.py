"""The Celery application, set up as Celery's Django guide has it."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, worker_init, worker_process_init
from kombu import Exchange
from kombu.transport.native_delayed_delivery import MAX_LEVEL, level_name

DELAYED_EXCHANGE = level_name(MAX_LEVEL)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("neis")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("collection.watching:Watcher")


@app.task(bind=True, ignore_result=True)
def debug_task(self: Any) -> None:
    print(f"Request: {self.request!r}")


@before_task_publish.connect
def leave_delays_to_rabbitmq(
    headers: dict[str, Any], exchange: Exchange | str, **kwargs: object
) -> None:
    """Celery also sends the time by its own clock, and a worker whose clock is behind would hold
    what RabbitMQ has delayed already, with one slot less until then."""
    if getattr(exchange, "name", exchange) == DELAYED_EXCHANGE:
        headers["eta"] = None


@worker_init.connect
@worker_process_init.connect
def collect_garbage_less_often(**kwargs: object) -> None:
    """An answer is thousands of rows that all live until it is stored: with Python's defaults
    the collector walks over them again and again, for half of the time of a fetch."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
