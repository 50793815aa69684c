"""What can be made to go wrong: each fault is a change to the reply that would have been right.

In JSON a fault is {"kind": "http_503", "share": 0.05, "schools": ["7010118"], "first": 1,
"seconds": 2}: `share` is the part of the requests it meets, `schools` the only ones it meets,
`first` how many requests for the same school and page it meets before it lets them pass.
"""

import gzip
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import cache
from typing import Any

import orjson

from .answering import Question
from .dice import fraction
from .wire import JSON_TYPE, json_result

HUGE_BYTES = 200 * 1024 * 1024
_HTML = "<!DOCTYPE html><html><body>시스템 점검 중입니다.</body></html>".encode()


class Way(Enum):
    """How a reply goes over the wire."""

    WHOLE = "whole"
    RESET = "reset"
    SILENT = "silent"
    HEADERS_ONLY = "headers only"
    DRIP = "drip"
    DRIP_HEAD = "drip of the head"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    way: Way = Way.WHOLE
    delay_seconds: float = 0.0
    repeat: int = 1
    """The body is sent so many times over: a huge one need not lie in memory."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    share: float = 1.0
    schools: frozenset[str] = frozenset()
    first: int | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Fault":
        """Raises ValueError for a kind or a setting that there is none of."""
        if settings.get("kind") not in KINDS:
            raise ValueError(f"{settings.get('kind')!r} is none of {', '.join(sorted(KINDS))}")
        try:
            schools = frozenset(settings.get("schools", ()))
            return cls(**{**settings, "schools": schools})
        except TypeError as error:
            raise ValueError(str(error)) from None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "schools": sorted(self.schools)}


@dataclass(slots=True)
class Faults:
    """The faults that are switched on; of several that meet a request the first one is it."""

    seed: int
    active: list[Fault] = field(default_factory=list)
    _asked: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def switch(self, faults: Sequence[Fault]) -> None:
        self.active = list(faults)
        self._asked.clear()

    def choose(self, question: Question, page: int) -> Fault | None:
        place = (question.service, question.school_code, page)
        nth = self._asked[place]
        self._asked[place] += 1
        return next((f for f in self.active if self._meets(f, question, page, nth)), None)

    def _meets(self, fault: Fault, question: Question, page: int, nth: int) -> bool:
        if fault.schools and question.school_code not in fault.schools:
            return False
        if fault.first is not None and nth >= fault.first:
            return False
        if fault.share >= 1:
            return True
        place = (question.service, question.school_code, page, nth)
        return fraction(self.seed, fault.kind, *place) < fault.share


Change = Callable[[Reply, Fault, int], Reply]
"""Takes the right reply, the fault and the page number."""


def _status(status: int) -> Change:
    def change(reply: Reply, fault: Fault, page: int) -> Reply:
        headers = (("Retry-After", f"{fault.seconds:.0f}"),) if fault.seconds else ()
        return Reply(_HTML, status, "text/html;charset=UTF-8", headers)

    return change


def _way(way: Way) -> Change:
    return lambda reply, fault, page: replace(reply, way=way)


def _code(code: str) -> Change:
    return lambda reply, fault, page: Reply(json_result(code))


def _body(change: Callable[[bytes], bytes]) -> Change:
    return lambda reply, fault, page: replace(reply, body=change(reply.body))


def _document(change: Callable[[Any, int], None]) -> Change:
    """Changes the parsed page; an answer without rows stays as it is."""

    def apply(reply: Reply, fault: Fault, page: int) -> Reply:
        document = orjson.loads(reply.body)
        if "RESULT" in document:
            return reply
        change(document, page)
        return replace(reply, body=orjson.dumps(document))

    return apply


def _parts(document: Any) -> tuple[list[Any], list[Any]]:
    parts = next(iter(document.values()))
    return parts[0]["head"], parts[1]["row"]


def _move_total(document: Any, page: int) -> None:
    _parts(document)[0][0]["list_total_count"] += page


def _raise_total(document: Any, page: int) -> None:
    _parts(document)[0][0]["list_total_count"] += 7


def _drop_rows(document: Any, page: int) -> None:
    rows = _parts(document)[1]
    del rows[len(rows) - max(1, len(rows) // 10) :]


def _drop_field(document: Any, page: int) -> None:
    _parts(document)[1][-1].pop("ATPT_OFCDC_SC_CODE")


def _error_in_head(document: Any, page: int) -> None:
    head, _ = _parts(document)
    head[1] = orjson.loads(json_result("ERROR-500"))


def _latency(reply: Reply, fault: Fault, page: int) -> Reply:
    return replace(reply, delay_seconds=fault.seconds)


def _html(reply: Reply, fault: Fault, page: int) -> Reply:
    return Reply(_HTML, 200, "text/html;charset=UTF-8")


def _redirect(reply: Reply, fault: Fault, page: int) -> Reply:
    return Reply(b"", 302, headers=(("Location", "http://localhost.invalid/hub/"),))


def _huge(reply: Reply, fault: Fault, page: int) -> Reply:
    block = b" " * (1024 * 1024)
    return replace(reply, body=block, repeat=HUGE_BYTES // len(block))


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * HUGE_BYTES, compresslevel=1)


def _gzip_bomb(reply: Reply, fault: Fault, page: int) -> Reply:
    return replace(reply, body=_bomb(), headers=(("Content-Encoding", "gzip"),))


def _content_type(reply: Reply, fault: Fault, page: int) -> Reply:
    return replace(reply, content_type="text/html;charset=EUC-KR")


# `repeated_page`, `emptied` and `halved` change what is asked for, so the server does them.
REPEATED_PAGE, EMPTIED, HALVED = "repeated_page", "emptied", "halved"

KINDS: dict[str, Change] = {
    "latency": _latency,
    "http_429": _status(429),
    "http_500": _status(500),
    "http_502": _status(502),
    "http_503": _status(503),
    "reset": _way(Way.RESET),
    "time_out": _way(Way.SILENT),
    "hang": _way(Way.HEADERS_ONLY),
    "drip": _way(Way.DRIP),
    "drip_head": _way(Way.DRIP_HEAD),
    "cut": _way(Way.CUT),
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
    "html": _html,
    "truncated_json": _body(lambda body: body[: len(body) * 2 // 3]),
    "bad_utf8": _body(lambda body: body.replace(b'"SCHUL_NM":"', b'"SCHUL_NM":"\xff', 1)),
    "wrong_root": _body(lambda body: body.replace(b'{"', b'{"x', 1)),
    "missing_field": _document(_drop_field),
    "nan": _body(lambda body: body.replace(b'"list_total_count":', b'"list_total_count":NaN,"x":')),
    # The last of equal keys wins in most readers: the wrong count stands last.
    "duplicate_keys": _body(
        lambda body: body.replace(b'},{"RESULT"', b',"list_total_count":0},{"RESULT"', 1)
    ),
    "error_in_head": _document(_error_in_head),
    "content_type": _content_type,
    "redirect": _redirect,
    "error_300": _code("ERROR-300"),
    "error_500": _code("ERROR-500"),
    "error_600": _code("ERROR-600"),
    "error_601": _code("ERROR-601"),
    "moving_total": _document(_move_total),
    "total_too_large": _document(_raise_total),
    "missing_rows": _document(_drop_rows),
    REPEATED_PAGE: lambda reply, fault, page: reply,
    EMPTIED: _code("INFO-200"),
    HALVED: lambda reply, fault, page: reply,
}

# Faults after which asking again helps. What holds a connection open is rarer: it costs seconds.
_TRANSIENT = (
    "http_429", "http_500", "http_502", "http_503", "reset", "cut", "html", "truncated_json",
    "wrong_root", "missing_field", "nan", "error_in_head", "error_500", "error_600", "error_601",
    "moving_total", "total_too_large", "missing_rows", REPEATED_PAGE,
)  # fmt: skip
_SLOW = ("time_out", "hang", "drip", "drip_head")
_HARMLESS = ("content_type",)


def all_transient(share: float = 0.06) -> list[Fault]:
    """Every fault that passes, at `share` of the requests in all, twice in a row at most."""
    weights = {**dict.fromkeys((*_TRANSIENT, *_HARMLESS), 1.0), **dict.fromkeys(_SLOW, 0.15)}
    unit = share / sum(weights.values())
    return [Fault(kind, share=unit * weight, first=2) for kind, weight in weights.items()]
