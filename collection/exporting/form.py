"""In which form the rows are written: for whom, in which encoding, under which header."""

from dataclasses import dataclass
from typing import Self

from collection.models import Audience, Encoding, FileFormat, HeaderStyle

# What a spreadsheet takes for the beginning of a formula, and what it drops before one;
# the full-width forms, too, which Excel reads as the narrow ones (OWASP, CSV injection).
FORMULA_SIGNS = "=+-@\t\r\n＝＋－＠"

_SAFE = (
    "A cell of text that begins with one of = + - @, tab, carriage return or line feed, or a"
    " full-width = + - @, has an apostrophe (') put before it. Take it away to have the stored"
    " value."
)
_AS_STORED = (
    "Every cell is written as it is stored. A spreadsheet may run a cell that begins with one of"
    " = + - @: do not open the file in one."
)


@dataclass(frozen=True, slots=True)
class Form:
    audience: Audience
    encoding: Encoding
    header: HeaderStyle
    file_format: FileFormat = FileFormat.CSV

    @classmethod
    def for_people(cls, file_format: FileFormat = FileFormat.CSV) -> Self:
        return cls(Audience.PEOPLE, Encoding.UTF_8_BOM, HeaderStyle.KOREAN, file_format)

    @classmethod
    def for_machines(cls, file_format: FileFormat = FileFormat.CSV) -> Self:
        return cls(Audience.MACHINES, Encoding.UTF_8, HeaderStyle.MACHINE, file_format)

    @property
    def is_formula_safe(self) -> bool:
        return self.audience is Audience.PEOPLE

    @property
    def line_end(self) -> str:
        """RFC 4180 has CRLF; programs get the LF that PostgreSQL writes."""
        return "\r\n" if self.audience is Audience.PEOPLE else "\n"

    @property
    def formula_rule(self) -> str:
        return _SAFE if self.is_formula_safe else _AS_STORED
