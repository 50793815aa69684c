"""Beat's scheduler: django-celery-beat's, of which one works and any number stand by.

Nothing depends on there being one: two that fire the same due time start one run.
"""

import logging
import time
from datetime import datetime
from typing import Any

from celery.schedules import ParseException
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, connection
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from collection import schedulable
from collection.own_connection import unpooled

logger = logging.getLogger(__name__)

_LOCK_KEY = 7_305_010
_STANDBY_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 1.0


class _Entry(ModelEntry):  # type: ignore[misc]
    """Not sent later than now: on a machine whose clock is behind that of the last scheduler,
    everything would wait until this clock gets there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last_run_at: datetime = min(self.last_run_at, self._default_now())


class OneScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Works while it holds a lock of PostgreSQL, and sends only what may be scheduled."""

    Entry = _Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = _SessionLock(_LOCK_KEY)
        self._active: bool | None = None

    def setup_schedule(self) -> None:
        """Every periodic task stands in the database, which may be away when beat starts."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        try:
            if not self._is_active():
                return _STANDBY_SECONDS
            seconds: float = super().tick(*args, **kwargs)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The database is away: %s", type(error).__name__)
            connection.close()
            self._forget()
            return _STANDBY_SECONDS
        return seconds

    def enabled_models(self) -> list[PeriodicTask]:
        return [task for task in super().enabled_models() if _may_be_sent(task)]

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._lock.release()

    def _is_active(self) -> bool:
        active = self._lock.is_held()
        if active != self._active:
            logger.info(
                "This scheduler is at work." if active else "Another scheduler works: standing by."
            )
            self._forget()
            self._active = active
        return active

    def _forget(self) -> None:
        """What was read before an outage or a standby is old: it is read anew."""
        self._dirty.clear()
        self._heap = None
        self._initial_read = True


def _may_be_sent(task: PeriodicTask) -> bool:
    """A row that can't be read would end beat, and every other task with it."""
    try:
        schedulable.check(task)
        task.schedule  # noqa: B018
    except ValidationError as error:
        logger.error("%s (%s) is not sent: %s", task.name, task.task, error.message_dict)
    except (ValueError, ParseException) as error:
        logger.error("%s (%s) can't be read: %s", task.name, task.task, error)
    else:
        return True
    return False


class _SessionLock:
    """An advisory lock that ends with the connection it was taken on."""

    def __init__(self, key: int) -> None:
        self._key = key
        self._connection = unpooled()
        self._seen_at: float | None = None

    def is_held(self) -> bool:
        """Takes the lock if it is free. Raises the database's errors, and then it is lost."""
        if self._seen_at is not None and time.monotonic() - self._seen_at < _LOOK_EVERY_SECONDS:
            return True
        try:
            return self._look()
        except (DatabaseError, InterfaceError):
            self.release()
            raise

    def release(self) -> None:
        self._seen_at = None
        self._connection.close()

    def _look(self) -> bool:
        with self._connection.cursor() as cursor:
            if self._seen_at is None:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
            else:
                cursor.execute("SELECT true")
            held = bool(cursor.fetchone()[0])
        self._seen_at = time.monotonic() if held else None
        return held
