"""The marks that schools write before a subject."""

import re
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SUBSTITUTE = "[보강]"

EXPLANATIONS: dict[str, Promise] = {
    SUBSTITUTE: _("Substitute lesson: another teacher or subject stands in for the planned one."),
    "*": _("A mark of the school's own. NEIS doesn't say what it means; it is stored as it came."),
    "-": _("A mark of the school's own. NEIS doesn't say what it means; it is stored as it came."),
    "[기]": _(
        "A mark of the school's own. NEIS doesn't say what it means; it is stored as it came."
    ),
}
_MARKS = re.compile(r"\s*(\[보강\]|\[기\]|\*(?=\s)|-)\s*(?=\S)")


@dataclass(frozen=True, slots=True)
class Subject:
    """`raw` is what NEIS sent; `name` is the rest of it behind the marks."""

    raw: str
    name: str
    marks: tuple[str, ...]

    @property
    def is_substitute(self) -> bool:
        return SUBSTITUTE in self.marks


def read_subject(raw: str | None) -> Subject:
    """A mark is one only where a subject follows it."""
    rest, marks = raw or "", []
    while found := _MARKS.match(rest):
        marks.append(found[1])
        rest = rest[found.end() :]
    return Subject(raw or "", rest, tuple(marks))
