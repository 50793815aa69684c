"""The ledger as rows: what the pages of the console are made from, for who wants to look."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from collection.admin.logged import HistoryAdmin
from collection.models import Attempt, HeldWeek, Run, SchoolFetch
from collection.resources import ExportsRows, FailureResource, RunResource


@admin.register(Run)
class RunAdmin(ExportsRows, HistoryAdmin):
    resource_classes = [RunResource]
    list_display = ["id", "job", "trigger", "state", "first_monday", "weeks", "created_at",
                    "finished_at"]  # fmt: skip
    list_filter = ["state", "trigger"]
    list_select_related = ["job"]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        """The console has a page of its own for a run."""
        run = self.get_object(request, object_id)
        if run is None:
            return super().change_view(request, object_id, form_url, extra_context)
        return redirect("dashboard:run-detail", run.pk)


class AttemptInline(TabularInline[Attempt, SchoolFetch]):
    model = Attempt
    extra = 0
    can_delete = False
    readonly_fields = ["number", "outcome", "started_at", "finished_at", "worker",
                       "error_class", "error_code", "error_message"]  # fmt: skip
    fields = readonly_fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(SchoolFetch)
class SchoolFetchAdmin(ExportsRows, HistoryAdmin):
    resource_classes = [FailureResource]
    list_display = ["id", "run", "school", "state", "attempt", "error_class", "finished_at"]
    list_select_related = ["run", "school"]
    search_fields = ["school__code"]
    search_help_text = _("School code")
    inlines = [AttemptInline]


@admin.register(HeldWeek)
class HeldWeekAdmin(HistoryAdmin):
    list_display = ["school", "monday", "state", "old_entries", "new_entries", "held_at"]
    list_filter = ["state"]
    list_select_related = ["school"]
    exclude = ["payload", "digest"]
