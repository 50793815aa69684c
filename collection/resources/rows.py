"""What all resources have in common: texts of values, and imports that are all or nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from import_export import resources


class Rows(resources.ModelResource):
    """Rows as lists of texts, read in chunks: a table is never in memory as a whole."""

    def header(self) -> list[str]:
        names: list[str] = self.get_export_headers()
        return names

    def texts(self, queryset: QuerySet[Any]) -> Iterator[Sequence[str]]:
        for instance in self.iter_queryset(self.filter_export(queryset)):
            yield self.export_resource(instance)

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> str:
        return text_of(field.get_value(instance))

    def import_data(self, dataset: Any, dry_run: bool = False, **kwargs: Any) -> Any:
        """A row that is wrong takes back all the others."""
        kwargs |= {"use_transactions": True, "rollback_on_validation_errors": True}
        return super().import_data(dataset, dry_run, **kwargs)


def text_of(value: Any) -> str:
    """Empty for None; moments in Korean time."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)
