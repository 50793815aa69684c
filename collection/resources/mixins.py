"""For the admin classes: exports that stream, and imports that are all or nothing."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from import_export.admin import ExportMixin, ImportMixin
from unfold.contrib.import_export.forms import ExportForm, ImportForm

from collection.resources.formats import MachineCSV, PeopleCSV
from collection.resources.rows import Rows


class ExportsRows(ExportMixin):
    """Exports what is filtered, for whoever may export data."""

    export_form_class = ExportForm
    export_formats = [PeopleCSV, MachineCSV]
    resource_classes: list[type[Rows]]

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("collection.export_data")

    def _do_file_export(
        self,
        file_format: MachineCSV,
        request: HttpRequest,
        queryset: QuerySet[Any],
        export_form: Any = None,
    ) -> StreamingHttpResponse:
        """In place of the package's, which holds the whole table in memory."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        rows = self.choose_export_resource_class(export_form, request)()
        name = self.get_export_filename(request, queryset, file_format)
        return StreamingHttpResponse(
            file_format.stream(rows.header(), rows.texts(queryset)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class ImportsRows(ImportMixin):
    """Shows what would change, then changes all of it or nothing."""

    import_form_class = ImportForm
    import_formats = [MachineCSV]
    from_encoding = "utf-8-sig"
    # What a file may do, and so what who imports it has to be allowed.
    import_permissions: Sequence[str] = ("change",)

    def has_import_permission(self, request: HttpRequest) -> bool:
        app, model = self.get_model_info()
        return request.user.has_perms([f"{app}.{act}_{model}" for act in self.import_permissions])

    def process_result(self, result: Any, request: HttpRequest) -> HttpResponse:
        """What was well in the preview can be wrong by the time it is confirmed."""
        if not result.has_errors() and not result.has_validation_errors():
            answer: HttpResponse = super().process_result(result, request)
            return answer
        messages.error(request, _("Nothing was imported: meanwhile some lines have become wrong."))
        app, model = self.get_model_info()
        return HttpResponseRedirect(reverse(f"admin:{app}_{model}_import"))


class ExchangesRows(ExportsRows, ImportsRows):
    import_export_change_list_template = "admin/import_export/change_list_import_export.html"
