"""Questions to pages: rows are found once, pages are rendered once and kept as bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from .queries import Query
from .services import SERVICES, find_rows
from .wire import json_page, json_result, xml_page, xml_result
from .world import World

NO_DATA = "INFO-200"
KEPT_ANSWERS = 64
"""Row lists kept for the next pages of the same question."""


@dataclass(frozen=True, slots=True)
class Answer:
    """All rows of a question, before paging; `root` is the service it answers as."""

    root: str
    rows: list[bytes]


@dataclass(frozen=True, slots=True)
class Body:
    """A body and the RESULT code within."""

    content: bytes
    code: str


class Answers:
    """Every answer of a world as it is now, with a cache of pages that is capped in bytes."""

    def __init__(self, world: World, *, cache_mb: int = 256) -> None:
        self.world = world
        self.repeats_first_page = False
        """What comes past the last page: page 1 again, or INFO-200."""
        self.room = cache_mb * 1024 * 1024
        self._pages: OrderedDict[Hashable, Body] = OrderedDict()
        self._kept_bytes = 0
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()

    def body(self, query: Query) -> Body:
        key = (query, self.world.stamp, self.repeats_first_page)
        kept = self._pages.get(key)
        if kept is not None:
            self._pages.move_to_end(key)
            return kept
        body = self.render(query, self.answer(query))
        self._keep(key, body)
        return body

    def answer(self, query: Query) -> Answer:
        """The rows of the question, whatever the page."""
        key = (query.service, query.filters, self.world.stamp)
        kept = self._answers.get(key)
        if kept is None:
            service = SERVICES[query.service]
            rows = find_rows(service, self.world, dict(query.filters))
            kept = self._answers[key] = Answer(service.answers_as, rows)
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        return kept

    def render(self, query: Query, answer: Answer) -> Body:
        rows = self.page_rows(query, answer)
        if not rows:
            return refusal(NO_DATA, wants_json=query.wants_json)
        render = json_page if query.wants_json else xml_page
        return Body(render(answer.root, len(answer.rows), rows), "INFO-000")

    def page_rows(self, query: Query, answer: Answer) -> list[bytes]:
        start = (query.page - 1) * query.size
        if start >= len(answer.rows) and self.repeats_first_page:
            start = 0
        return answer.rows[start : start + query.size]

    def _keep(self, key: Hashable, body: Body) -> None:
        self._pages[key] = body
        self._kept_bytes += len(body.content)
        while self._kept_bytes > self.room and self._pages:
            _, dropped = self._pages.popitem(last=False)
            self._kept_bytes -= len(dropped.content)


def refusal(code: str, *, wants_json: bool) -> Body:
    """A bare RESULT."""
    return Body(json_result(code) if wants_json else xml_result(code), code)
