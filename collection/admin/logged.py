"""What all admin classes of the console share: the log holds before and after, and large tables
are neither counted nor searched by pieces of text."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from collection import audit

Deletion = tuple[list[Any], dict[str, int], set[str], list[Any]]


class LoggedAdmin(ModelAdmin[Any]):
    """Notes the old and the new value of every field that its form changes."""

    warn_unsaved_form = True

    def construct_change_message(
        self, request: HttpRequest, form: forms.Form, formsets: Any, add: bool = False
    ) -> list[dict[str, Any]]:
        # Before the stock message, which leaves the fields' labels translated behind it.
        changes = audit.changes_in(form)
        message: list[dict[str, Any]] = super().construct_change_message(
            request, form, formsets, add
        )
        return [*message, *audit.message_of(changes)[1:]]

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> Deletion:
        """Without the rows that only link two things: they have no name that says anything."""
        deleted, count, permissions, protected = super().get_deleted_objects(objs, request)
        links = [relation.remote_field.through._meta for relation in self.opts.many_to_many]
        for link in links:
            count.pop(link.verbose_name_plural, None)
        names = tuple(f"{capfirst(link.verbose_name)}: " for link in links)
        return _without(deleted, names), count, permissions, protected


def _without(deleted: list[Any], names: tuple[str, ...]) -> list[Any]:
    """`deleted` is a tree of texts, each followed by the list of what goes with it."""
    kept = [
        _without(item, names) if isinstance(item, list) else item
        for item in deleted
        if isinstance(item, list) or not str(item).startswith(names)
    ]
    return [item for item in kept if item != []]


class ReadOnlyAdmin(ModelAdmin[Any]):
    """What the system writes and people read."""

    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class HistoryAdmin(ReadOnlyAdmin):
    """Of tables with millions of rows: newest first, pages that need no count, exact search."""

    paginator = InfinitePaginator
    show_full_result_count = False
    ordering = ["-pk"]
    sortable_by: list[str] = []

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The stock exact search ignores case, and with it every index."""
        if not search_term:
            return queryset, False
        return queryset.filter(**{self.search_fields[0]: search_term.strip()}), False
