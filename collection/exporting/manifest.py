"""What a consumer has to know about a file without asking anybody: written beside it, as JSON."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from collection.exporting.columns import columns_of
from collection.exporting.form import Form
from collection.exporting.selection import Selection
from collection.models import Encoding
from collection.planning import KOREA

VERSION = 1
_NAMES = {Encoding.UTF_8_BOM: "UTF-8", Encoding.UTF_8: "UTF-8", Encoding.CP949: "CP949"}


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or a file of an archive."""

    name: str
    rows: int
    size: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "rows": self.rows, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Manifest:
    selection: Selection
    form: Form
    as_of: datetime
    coverage: dict[str, Any]
    file: Part
    members: tuple[Part, ...] = ()
    replaced: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {
            **described(
                self.selection, self.form, as_of=self.as_of, coverage=self.coverage,
                replaced=self.replaced, members=self.members,
            ),
            "file": self.file.as_json(),
        }  # fmt: skip


def described(
    selection: Selection,
    form: Form,
    *,
    as_of: datetime,
    coverage: dict[str, Any],
    replaced: Counter[str],
    members: tuple[Part, ...],
) -> dict[str, Any]:
    """Everything but the file itself: an archive holds this, and can't hold its own checksum."""
    return {
        "manifest": VERSION,
        "dataset": selection.dataset.value,
        "filter": {
            "weeks": [monday.isoformat() for monday in selection.mondays],
            "levels": list(selection.levels),
            "offices": list(selection.offices),
            "schools": list(selection.schools),
        },
        "as_of": as_of.astimezone(KOREA).isoformat(timespec="seconds"),
        "form": _form(form),
        "columns": [
            {"name": column.name, "header": column.header(form.header), "type": column.kind}
            for column in columns_of(selection.dataset)
        ],
        "replaced_characters": {"count": replaced.total(), "which": dict(replaced.most_common())},
        "coverage": coverage,
        **({"files": [member.as_json() for member in members]} if members else {}),
    }


def _form(form: Form) -> dict[str, Any]:
    return {
        "made_for": form.audience.value,
        "format": form.file_format.value,
        "encoding": _NAMES[form.encoding],
        "byte_order_mark": form.encoding is Encoding.UTF_8_BOM,
        "header": form.header.value,
        "delimiter": ",",
        "quote": '"',
        "line_end": "CRLF" if form.line_end == "\r\n" else "LF",
        "null": "nothing between the delimiters",
        "empty_text": '""',
        "formula_safe": form.is_formula_safe,
        "formula_rule": form.formula_rule,
    }
