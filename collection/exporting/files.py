"""Writes an export into a file: hashed on the way, whole or not there at all."""

import gzip
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

from psycopg import sql

from collection.exporting.columns import columns_of
from collection.exporting.coverage import coverage
from collection.exporting.encoding import Encoder
from collection.exporting.form import Form
from collection.exporting.manifest import Manifest, Part, described
from collection.exporting.queries import copy_statement, matching
from collection.exporting.selection import Selection
from collection.exporting.snapshot import Snapshot, snapshot
from collection.models import Dataset, FileFormat

# The best ratio of time to size for these rows; see docs/exports.md.
_COMPRESSION = 4
_BUFFER = 1024 * 1024
MANIFEST_NAME = "manifest.json"

_OFFICES = """
SELECT code, name FROM collection_office
 WHERE code IN (SELECT school.office_id FROM collection_school AS school WHERE {matches})
 ORDER BY code
"""

Progress = Callable[[int, int], object]
"""Told rows and bytes so far, after every block. What it raises ends the export."""


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Counted:
    """Counts and hashes what passes. No seek, no tell: an archive is written straight through."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._sink.write(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """A file of `zipfile` wants one."""

    def part(self, name: str, rows: int) -> Part:
        return Part(name, rows, self.size, self._digest.hexdigest())


def write_file(
    selection: Selection, form: Form, path: Path, *, on_progress: Progress = lambda rows, size: None
) -> Manifest:
    """The file appears when it is whole. Raises OSError, and whatever `on_progress` raises."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb", buffering=_BUFFER) as file, snapshot() as taken:
            manifest = _Export(selection, form, taken, on_progress).write(file, path.name)
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return manifest


class _Export:
    def __init__(
        self, selection: Selection, form: Form, taken: Snapshot, on_progress: Progress
    ) -> None:
        self._selection = selection
        self._form = form
        self._snapshot = taken
        self._on_progress = on_progress
        self._encoder = Encoder(form)
        self._rows = 0

    def write(self, file: IO[bytes], name: str) -> Manifest:
        out = _Counted(file)
        covered = coverage(self._snapshot, self._selection)
        members: tuple[Part, ...] = ()
        match self._form.file_format:
            case FileFormat.CSV:
                self._write_rows(out, out)
            case FileFormat.GZIP:
                with _gzip(out) as packed:
                    self._write_rows(packed, out)
            case FileFormat.ZIP:
                members = self._write_archive(out, covered)
        return Manifest(
            selection=self._selection,
            form=self._form,
            as_of=self._snapshot.taken_at,
            coverage=covered,
            file=out.part(name, self._rows),
            members=members,
            replaced=self._encoder.replaced,
        )

    def _write_archive(self, out: _Counted, covered: dict[str, Any]) -> tuple[Part, ...]:
        members = []
        with zipfile.ZipFile(
            cast("IO[bytes]", out), "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION
        ) as archive:
            for code, name in self._offices():
                before = self._rows
                title = f"{code}_{name}.csv".replace("/", "_")
                with archive.open(title, "w", force_zip64=True) as file:
                    member = _Counted(file)
                    self._write_rows(member, out, office=code)
                members.append(member.part(title, self._rows - before))
            note = described(
                self._selection, self._form, as_of=self._snapshot.taken_at, coverage=covered,
                replaced=self._encoder.replaced, members=tuple(members),
            )  # fmt: skip
            archive.writestr(zipfile.ZipInfo(MANIFEST_NAME), dumped(note))
        return tuple(members)

    def _offices(self) -> Sequence[tuple[Any, ...]]:
        offices = sql.SQL(_OFFICES).format(matches=matching(self._selection))
        return self._snapshot.fetch(offices)

    def _write_rows(self, sink: _Sink, out: _Counted, *, office: str | None = None) -> None:
        columns = columns_of(self._selection.dataset)
        sink.write(self._encoder.begin([column.header(self._form.header) for column in columns]))
        one_week: list[Any] = [None]
        mondays = (
            one_week if self._selection.dataset is Dataset.SCHOOL_LIST else self._selection.mondays
        )
        for monday in mondays:
            statement = copy_statement(self._selection, self._form, monday=monday, office=office)
            with closing(self._snapshot.copy(statement)) as blocks:
                for rows in blocks:
                    sink.write(self._encoder.encode(rows))
                    self._rows += len(rows)
                    self._on_progress(self._rows, out.size)


@contextmanager
def _gzip(out: _Counted) -> Iterator[_Sink]:
    # No name and no time: the same rows make the same bytes.
    with gzip.GzipFile("", "wb", _COMPRESSION, cast("IO[bytes]", out), mtime=0) as file:
        yield cast("_Sink", file)


def dumped(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
