"""Schools: exported as they are; imported to correct what is derived from NEIS's words."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from import_export.fields import Field

from collection.models import Level, School, TimetableService
from collection.resources.rows import Rows
from collection.resources.widgets import OneOf, SomeOf

_CORRECTED = ("level", "services")


class SchoolResource(Rows):
    """The school list itself overwrites all else: a correction is the level and the services.

    A school is known by its office and code. None is added, none closed.
    """

    office_code = Field("office_id", "office_code")
    office = Field("office__name", "office", readonly=True)
    level = Field("level", "level", OneOf(Level.values))
    services = Field("services", "services", SomeOf(TimetableService.values))

    class Meta:
        model = School
        import_id_fields = ("office_code", "code")
        fields = ("office_code", "office", "code", "name", "kind", "level", "services",
                  "is_corrected", "location", "address", "telephone", "homepage",
                  "closed_at")  # fmt: skip
        export_order = fields
        skip_unchanged = True
        report_skipped = True

    def filter_export(self, queryset: QuerySet[School], **kwargs: Any) -> QuerySet[School]:
        return queryset.select_related("office")

    def get_import_fields(self) -> list[Any]:
        wanted = ("office_code", "code", *_CORRECTED)
        return [self.fields[name] for name in wanted]

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        if new:
            raise ValueError(
                gettext("There is no school %(code)s in office %(office)s.")
                % {"code": row.get("code"), "office": row.get("office_code")}
            )

    def before_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
        if not instance.services:
            raise ValueError(gettext("A school needs at least one timetable service."))
        instance.is_corrected = True
