"""Where the files of exports lie: a storage of Django's, and a folder for what is being written.

A file's name is the export's random id, the attempt and the ending. Nothing that a person typed
is part of it, and no address leads to it but the view that asks for the permission.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db.models import Q

from collection.models import FILELESS_EXPORT_STATES, Export, ExportState

_NAME = re.compile(r"\.?([0-9a-f-]{36})\.(\d+)\.")


class _Finished(File):  # type: ignore[type-arg]
    """Tells a storage on the same disk to move the file in place of copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def storage() -> Storage:
    return storages["exports"]


def place_to_write(name: str) -> Path:
    folder = Path(settings.EXPORTS_DIRECTORY) / "partial"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / name


def keep(path: Path) -> None:
    """Hands a whole file over to the storage under its own name. It may move it, or copy it.

    Raises OSError; S3's own errors are none.
    """
    with path.open("rb") as file:
        try:
            storage().save(path.name, _Finished(file, str(path)))
        except (BotoCoreError, ClientError) as error:
            raise OSError(str(error)) from error


def opened(export: Export) -> IO[bytes]:
    """Raises FileNotFoundError."""
    return storage().open(export.file_name)


def discard_earlier_attempts(export: Export) -> None:
    """What a worker that was killed after it had stored its file left behind."""
    for attempt in range(1, export.attempt):
        storage().delete(f"{export.pk}.{attempt}.{export.file_format}")


def sweep() -> int:
    """Deletes the files that nobody may have any more; returns how many rows were seen to."""
    swept = 0
    for partial in _abandoned():
        partial.unlink(missing_ok=True)
    over = Export.objects.filter(~Q(file_name=""), state__in=FILELESS_EXPORT_STATES)
    for export in over.defer("manifest"):
        discard_earlier_attempts(export)
        storage().delete(export.file_name)
        swept += Export.objects.filter(pk=export.pk, state=export.state).update(file_name="")
    return swept


def _abandoned() -> Iterator[Path]:
    """Files being written by no attempt that is still on."""
    for path in place_to_write("").iterdir():
        found = _NAME.match(path.name)
        running = found and Export.objects.filter(
            pk=found[1], attempt=found[2], state=ExportState.RUNNING
        )
        if not running or not running.exists():
            yield path
