"""Where Celery keeps the outcome of every task: django-celery-results, made safe."""

import logging
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django_celery_results.backends.database import DatabaseBackend

from collection.neis.redaction import Redactor

logger = logging.getLogger(__name__)

CLEANED_AT_ONCE = 5000


class SafeDatabaseBackend(DatabaseBackend):  # type: ignore[misc]
    """Never raises when the database is away, and stores no key.

    An error raised while a result is stored is swallowed by a threads or gevent pool together
    with the message's acknowledgement, and the worker stands still for good. An outcome is
    worth less than that: what has to be known is in the ledger.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._redact = Redactor(settings.NEIS_API_KEYS)

    def cleanup(self) -> None:
        """What has expired, in batches: a night's thousands would be one long transaction."""
        if not self.expires:
            return
        for model in (self.TaskModel, self.GroupModel):
            results = model._default_manager
            while expired := list(
                results.get_all_expired(self.expires)
                .order_by("date_done")
                .values_list("pk", flat=True)[:CLEANED_AT_ONCE]
            ):
                results.filter(pk__in=expired).delete()

    def encode_content(self, data: Any) -> tuple[str, str, str]:
        content_type, encoding, content = super().encode_content(data)
        return content_type, encoding, self._redact(content)

    def _store_result(
        self,
        task_id: str,
        result: Any,
        status: str,
        traceback: str | None = None,
        request: Any = None,
        using: str | None = None,
    ) -> Any:
        traceback = self._redact(traceback) if traceback else traceback
        try:
            return super()._store_result(task_id, result, status, traceback, request, using)
        except (OperationalError, InterfaceError):
            connection.close()
            logger.warning("The database is away: the outcome of task %s is not kept.", task_id)
            return result
