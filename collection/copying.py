"""A week as the text that COPY reads. Pure, and column by column as in normalising: most values
of a column are the same few."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

from collection.normalising import Week

_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def rows_as_text(school_id: int, week: Week) -> bytes:
    """School, position, the columns of the entry and its load date, a line for each entry."""
    columns = map(_texts, (*zip(*week.entries, strict=True), week.loaded_on))
    positions = map(str, range(len(week.entries)))
    lines = map("\t".join, zip(repeat(str(school_id)), positions, *columns, strict=False))
    return "\n".join([*lines, ""]).encode()


def _texts(values: Sequence[Any]) -> Iterable[str]:
    known = {value: _text(value) for value in set(values)}
    if all(text == value for value, text in known.items()):
        return values
    return map(known.__getitem__, values)


def _text(value: Any) -> str:
    return r"\N" if value is None else str(value).translate(_ESCAPED)
