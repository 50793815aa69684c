"""The Celery application, set up as Celery's Django guide has it."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("neis")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("collection.watching:Watcher")


@app.task(bind=True, ignore_result=True)
def debug_task(self: Any) -> None:
    print(f"Request: {self.request!r}")


@worker_init.connect
@worker_process_init.connect
def collect_garbage_less_often(**kwargs: object) -> None:
    """An answer is thousands of rows that all live until it is stored: with Python's defaults
    the collector walks over them again and again, for half of the time of a fetch."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
