"""What became of Celery's tasks, as django-celery-results keeps it."""

from typing import Any

import django_celery_results.admin  # noqa: F401  registers the models that are registered anew here
from celery import states
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_celery_results.models import GroupResult, TaskResult

from collection.admin.logged import HistoryAdmin
from collection.resources import ExportsRows, TaskResultResource

admin.site.unregister(TaskResult)
admin.site.unregister(GroupResult)


class StatusFilter(admin.SimpleListFilter):
    """The states that there can be: the stock filter asks the whole table which there are."""

    title = _("Task State")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(state, state) for state in sorted(states.ALL_STATES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(TaskResult)
class TaskResultAdmin(ExportsRows, HistoryAdmin):
    resource_classes = [TaskResultResource]
    list_display = ["task_id", "task_name", "status", "date_done", "worker"]
    list_filter = [StatusFilter]
    search_fields = ["task_id"]
    search_help_text = _("Task ID")
    fieldsets = [
        (None, {"fields": ["task_id", "task_name", "periodic_task_name", "status", "worker"]}),
        (None, {"fields": ["date_created", "date_started", "date_done"]}),
        (None, {"fields": ["task_args", "task_kwargs", "result", "traceback"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskResult]:
        rows: QuerySet[TaskResult] = super().get_queryset(request)
        if self._is_list(request):
            return rows.only(*self.list_display)
        return rows

    def _is_list(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        return match is not None and str(match.url_name).endswith("_changelist")


@admin.register(GroupResult)
class GroupResultAdmin(HistoryAdmin):
    list_display = ["group_id", "date_done"]
    search_fields = ["group_id"]
    search_help_text = _("Group ID")
    exclude = ["content_type", "content_encoding"]
