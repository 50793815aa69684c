"""Hands the files of exports out: the one way to them, and it asks for the permission each time."""

import json
from typing import cast
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import FileResponse, Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from collection import export_files
from collection.exporting.columns import title_of
from collection.models import Dataset, Export, HeaderStyle
from dashboard.exports.rows import Row, is_offered
from dashboard.pages import requires


@require_GET
@requires("collection.export_data")
def send_file(request: HttpRequest, export_id: UUID) -> FileResponse:
    export = _offered(export_id)
    try:
        file = export_files.opened(export)
    except FileNotFoundError:
        raise Http404(_("The file is gone; ask for the export again.")) from None
    LogEntry.objects.log_actions(
        cast("int", request.user.pk), [export], CHANGE, change_message=_("File downloaded")
    )
    response = FileResponse(
        file, as_attachment=True, filename=f"{_title(export)}.{export.file_format}",
        content_type="application/octet-stream",
    )  # fmt: skip
    response["Content-Length"] = export.size
    return response


@require_GET
@requires("collection.export_data")
def send_manifest(request: HttpRequest, export_id: UUID) -> FileResponse:
    export = _offered(export_id)
    text = json.dumps(export.manifest, ensure_ascii=False, indent=1)
    return FileResponse(
        [text.encode()], as_attachment=True, filename=f"{_title(export)}.manifest.json",
        content_type="application/json",
    )  # fmt: skip


def _offered(export_id: UUID) -> Export:
    export = Export.objects.filter(pk=export_id).first()
    if export is None or not is_offered(export, now=timezone.now()):
        raise Http404(_("There is no such file, or its time is over."))
    return export


def _title(export: Export) -> str:
    title = title_of(Dataset(export.dataset), HeaderStyle(export.header))
    weeks = Row(export, timezone.now()).mondays
    asked = timezone.localtime(export.asked_at)
    return "_".join([title, *weeks, f"{asked:%Y%m%d-%H%M%S}"])
