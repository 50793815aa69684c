"""The console's lists: what operators create is edited here, what the system writes is read."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from collection.models import (
    Attempt,
    HeldWeek,
    Job,
    Office,
    Run,
    School,
    SchoolFetch,
    SchoolListIssue,
    SchoolListSync,
)
from collection.resources import (
    ExchangesRows,
    ExportsRows,
    FailureResource,
    JobResource,
    RunResource,
    SchoolResource,
)


class ReadOnly(ModelAdmin[Any]):
    """Large tables: no count of everything, no free text in filters, exact search."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ExchangesRows, ModelAdmin[Job]):
    resource_classes = [JobResource]
    import_permissions = ("add", "change")
    list_display = ["name", "levels", "window_offset", "window_weeks", "priority"]
    filter_horizontal = ["offices"]


@admin.register(Run)
class RunAdmin(ExportsRows, ReadOnly):
    resource_classes = [RunResource]
    list_display = ["id", "job", "trigger", "state", "first_monday", "weeks", "created_at",
                    "finished_at"]  # fmt: skip
    list_filter = ["state", "trigger"]
    list_select_related = ["job"]


class AttemptInline(TabularInline[Attempt, SchoolFetch]):
    model = Attempt
    extra = 0
    can_delete = False
    readonly_fields = ["number", "outcome", "started_at", "finished_at", "worker",
                                "error_class", "error_code", "error_message"]  # fmt: skip

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(SchoolFetch)
class SchoolFetchAdmin(ExportsRows, ReadOnly):
    resource_classes = [FailureResource]
    list_display = ["id", "run", "school", "state", "attempt", "error_class", "finished_at"]
    list_filter = ["state", "error_class"]
    list_select_related = ["run", "school"]
    search_fields = ["=school__code", "=run__id"]
    inlines = [AttemptInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchoolFetch]:
        return super().get_queryset(request).order_by("-id")


@admin.register(HeldWeek)
class HeldWeekAdmin(ReadOnly):
    list_display = ["school", "monday", "state", "old_entries", "new_entries", "held_at"]
    list_filter = ["state"]
    list_select_related = ["school"]
    exclude = ["payload", "digest"]


@admin.register(School)
class SchoolAdmin(ExchangesRows, ReadOnly):
    resource_classes = [SchoolResource]
    list_display = ["code", "name", "office", "kind", "level", "services", "closed_at"]
    list_filter = ["level", "office"]
    list_select_related = ["office"]
    search_fields = ["=code", "name"]
    actions = ["export_timetables"]

    @admin.action(permissions=["export"], description=_("Export the timetables of these schools"))
    def export_timetables(
        self, request: HttpRequest, queryset: QuerySet[School]
    ) -> HttpResponseRedirect:
        """Opens the form of exports: entries are streamed, never loaded by the admin."""
        codes = ",".join(queryset.order_by("code").values_list("code", flat=True))
        return HttpResponseRedirect(
            f"{reverse('dashboard:export-new')}?{urlencode({'schools': codes})}"
        )


@admin.register(Office)
class OfficeAdmin(ReadOnly):
    list_display = ["code", "name"]


@admin.register(SchoolListSync)
class SchoolListSyncAdmin(ReadOnly):
    list_display = ["started_at", "refused", "received", "added", "changed", "unchanged",
                    "missing", "closed", "set_aside"]  # fmt: skip


@admin.register(SchoolListIssue)
class SchoolListIssueAdmin(ReadOnly):
    list_display = ["name", "kind", "sync"]
    list_filter = ["kind"]
    list_select_related = ["sync"]
