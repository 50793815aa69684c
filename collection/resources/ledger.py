"""Runs, failures and outcomes of tasks: exported, never imported."""

from django.db.models import QuerySet
from django_celery_results.models import TaskResult
from import_export.fields import Field

from collection.models import Run, SchoolFetch
from collection.resources.rows import Rows


class RunResource(Rows):
    job = Field("job__name", "job")
    started_by = Field("started_by__username", "started_by")

    class Meta:
        model = Run
        fields = ("id", "job", "dataset", "trigger", "state", "pause_reason", "skip_reason",
                  "first_monday", "weeks", "levels", "offices", "due_at", "created_at",
                  "finished_at", "started_by")  # fmt: skip
        export_order = fields

    def filter_export(self, queryset: QuerySet[Run], **kwargs: object) -> QuerySet[Run]:
        return queryset.select_related("job", "started_by")


class FailureResource(Rows):
    """School fetches, as the list of failures is filtered."""

    office_code = Field("school__office_id", "office_code")
    school_code = Field("school__code", "school_code")
    school = Field("school__name", "school")
    level = Field("school__level", "level")
    run = Field("run_id", "run")

    class Meta:
        model = SchoolFetch
        fields = ("id", "run", "office_code", "school_code", "school", "level", "state", "attempt",
                  "failures", "error_class", "error_code", "error_message", "requests", "worker",
                  "finished_at")  # fmt: skip
        export_order = fields

    def filter_export(
        self, queryset: QuerySet[SchoolFetch], **kwargs: object
    ) -> QuerySet[SchoolFetch]:
        return queryset.select_related("school")


class TaskResultResource(Rows):
    class Meta:
        model = TaskResult
        fields = ("task_id", "task_name", "periodic_task_name", "status", "worker", "task_args",
                  "task_kwargs", "result", "traceback", "date_created", "date_started",
                  "date_done")  # fmt: skip
        export_order = fields
