"""Refuses to delete what something else still needs, before the database is asked."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from collection.admin.logged import Deletion, LoggedAdmin


class GuardedAdmin(LoggedAdmin):
    """`standing_in_the_way` names what keeps things from being deleted, one by one or in bulk."""

    def standing_in_the_way(self, things: Iterable[Model]) -> Iterable[Model]:
        raise NotImplementedError

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> Deletion:
        deleted, count, permissions, protected = super().get_deleted_objects(objs, request)
        return deleted, count, permissions, [*protected, *self.standing_in_the_way(objs)]
