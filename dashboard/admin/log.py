"""The log of changes: who changed what, from what to what."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter

from collection.admin.logged import HistoryAdmin
from dashboard.templatetags.changes import log_values


class ThingFilter(admin.SimpleListFilter):
    """By kind of thing: the kinds of the console, not every content type there is."""

    title = _("thing")
    parameter_name = "thing"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        kinds = ContentType.objects.get_for_models(*admin.site._registry)
        return sorted(
            ((str(kind.pk), str(model._meta.verbose_name)) for model, kind in kinds.items()),
            key=lambda choice: choice[1],
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None or not value.isdecimal():
            return queryset
        return queryset.filter(content_type=int(value))


@admin.register(LogEntry)
class LogEntryAdmin(HistoryAdmin):
    list_display = ["at", "user", "thing", "values"]
    list_display_links = None
    list_filter = [ThingFilter, "action_flag", ("action_time", RangeDateTimeFilter)]
    list_filter_submit = True
    list_select_related = ["user", "content_type"]
    search_fields = ["user__username"]
    search_help_text = _("User name")

    @admin.display(description=_("action time"))
    def at(self, entry: LogEntry) -> str:
        return f"{timezone.localtime(entry.action_time):%Y-%m-%d %H:%M:%S}"

    @admin.display(description=_("thing"))
    def thing(self, entry: LogEntry) -> str:
        kind = entry.content_type.name if entry.content_type else ""
        url = None if entry.is_deletion() else entry.get_admin_url()
        if url is None:
            return format_html("{} {}", kind, entry.object_repr)
        return format_html(
            '{} <a class="text-link underline" href="{}">{}</a>', kind, url, entry.object_repr
        )

    @admin.display(description=_("what changed"))
    def values(self, entry: LogEntry) -> str:
        return render_to_string("dashboard/_log_values.html", log_values(entry))
