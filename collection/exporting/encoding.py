"""Rows as PostgreSQL sends them, in UTF-8 and ended by LF, in the bytes of the form."""

from collections import Counter
from collections.abc import Sequence

from collection.exporting.form import Form
from collection.models import Encoding

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Encoder:
    """`replaced` counts the characters that CP949 does not know; "?" stands in their places."""

    def __init__(self, form: Form) -> None:
        self._encoding = form.encoding
        self._line_end = form.line_end.encode()
        self.replaced: Counter[str] = Counter()

    def begin(self, header: Sequence[str]) -> bytes:
        line = ",".join(header).encode() + self._line_end
        mark = _BYTE_ORDER_MARK if self._encoding == Encoding.UTF_8_BOM else b""
        return mark + self._encoded(line)

    def encode(self, rows: Sequence[bytes]) -> bytes:
        return self._encoded(self._ended(rows))

    def _ended(self, rows: Sequence[bytes]) -> bytes:
        block = b"".join(rows)
        if self._line_end == b"\n":
            return block
        if block.count(b"\n") == len(rows):
            return block.replace(b"\n", self._line_end)
        # A line feed stands within a cell, which keeps it.
        return b"".join(row[:-1] + self._line_end for row in rows)

    def _encoded(self, block: bytes) -> bytes:
        if self._encoding != Encoding.CP949:
            return block
        text = block.decode()
        try:
            return text.encode("cp949")
        except UnicodeEncodeError:
            return self._without_unknown(text).encode("cp949")

    def _without_unknown(self, text: str) -> str:
        unknown = [character for character in set(text) if not _is_in_cp949(character)]
        for character in unknown:
            self.replaced[character] += text.count(character)
        return text.translate(dict.fromkeys(map(ord, unknown), "?"))


def _is_in_cp949(character: str) -> bool:
    try:
        character.encode("cp949")
    except UnicodeEncodeError:
        return False
    return True
