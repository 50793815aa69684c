"""Rows that no honest timetable has, and what a reader may make of them."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import orjson

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Dirt:
    """One odd row; `readable` when it is legal, if strange, and belongs in a timetable."""

    kind: str
    readable: bool
    row: bytes


def _with(name: str, value: str | None) -> Callable[[Row], Row]:
    return lambda row: row | {name: value}


_READABLE = {
    "nul": _with("ITRT_CNTNT", "과학\x00실험"),
    "very_long": _with("ITRT_CNTNT", "가" * 5000),
    "tab": _with("ITRT_CNTNT", "체육\t(강당)"),
    "newline": _with("ITRT_CNTNT", "국어\r\n2단원"),
    "quote": _with("ITRT_CNTNT", "\"말하기\", '듣기'"),
    "backslash": _with("ITRT_CNTNT", "수학\\1\\n"),
    "emoji": _with("ITRT_CNTNT", "음악🎵👩‍🏫"),
    "formula": _with("ITRT_CNTNT", '=HYPERLINK("http://127.0.0.1","체육")'),
}
_UNREADABLE = {
    "impossible_date": lambda row: row | {"ALL_TI_YMD": f"{str(row['ALL_TI_YMD'])[:4]}0231"},
    "grade": _with("GRADE", "x"),
    "period_zero": _with("PERIO", "0"),
    "period_99": _with("PERIO", "99"),
    "period_null": _with("PERIO", None),
}
KINDS = (*_READABLE, *_UNREADABLE)


def dirty_rows(row: bytes, rng: Random) -> list[Dirt]:
    """Three odd rows made of an ordinary one."""
    ordinary: Row = orjson.loads(row)
    odd = _READABLE | _UNREADABLE
    return [
        Dirt(kind, kind in _READABLE, orjson.dumps(odd[kind](ordinary)))
        for kind in rng.sample(KINDS, 3)
    ]
