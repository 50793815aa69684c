"""Schools and offices, as NEIS lists them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from collection.admin.logged import ReadOnlyAdmin
from collection.models import Office, School, SchoolListIssue, SchoolListSync
from collection.resources import ExchangesRows, SchoolResource


@admin.register(Office)
class OfficeAdmin(ReadOnlyAdmin):
    list_display = ["code", "name"]
    search_fields = ["=code", "name"]


@admin.register(School)
class SchoolAdmin(ExchangesRows, ReadOnlyAdmin):
    resource_classes = [SchoolResource]
    list_display = ["name", "code", "office", "kind", "level", "closed_at"]
    list_display_links = ["name"]
    list_filter = ["level", "office", ("closed_at", admin.EmptyFieldListFilter)]
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


@admin.register(SchoolListSync)
class SchoolListSyncAdmin(ReadOnlyAdmin):
    list_display = ["started_at", "refused", "received", "added", "changed", "unchanged",
                    "missing", "closed", "set_aside"]  # fmt: skip


@admin.register(SchoolListIssue)
class SchoolListIssueAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "sync"]
    list_filter = ["kind"]
    list_select_related = ["sync"]
