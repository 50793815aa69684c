"""Where Celery keeps the outcome of every task: django-celery-results, made safe."""

import logging
from typing import Any

from celery import states
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from django_celery_results.backends.database import DatabaseBackend
from django_celery_results.models import TaskResult

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
        row = self._row(task_id, result, status, traceback, request)
        try:
            # One statement in place of django-celery-results' own three.
            TaskResult.objects.using(using or DEFAULT_DB_ALIAS).bulk_create(
                [TaskResult(**row)],
                update_conflicts=True,
                unique_fields=["task_id"],
                update_fields=[*(row.keys() - {"task_id"}), "date_done"],
            )
            return row["result"]
        except (OperationalError, InterfaceError):
            connection.close()
            logger.warning("The database is away: the outcome of task %s is not kept.", task_id)
            return result

    def _row(
        self, task_id: str, result: Any, status: str, traceback: str | None, request: Any
    ) -> dict[str, Any]:
        content_type, encoding, content = self.encode_content(result)
        children = self.current_task_children(request)
        _, _, meta = self.encode_content(
            {**self._get_meta_from_request(request), "children": children}
        )
        row = {
            "task_id": task_id,
            "status": status,
            "content_type": content_type,
            "content_encoding": encoding,
            "result": content,
            "meta": meta,
            **self._get_extended_properties(request, traceback),
        }
        return row | {"date_started": Now()} if status == states.STARTED else row
