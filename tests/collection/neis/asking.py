"""A client that asks for a week, and servers that answer it."""

from collections.abc import Callable, Iterator
from datetime import date

from collection.neis import Answer, Limits, NeisClient
from tests.collection import rows as wire
from tests.collection.neis.server import Answering, Asked, HangUp, reply
from tests.collection.rows import MONDAY, NO_DATA, OFFICE, SCHOOL, Row, page

SERVICE = "hisTimetable"
KEY = "0123456789abcdef+/=secret"
QUICK = Limits(connect_seconds=0.5, read_seconds=0.3, request_seconds=0.6, body_bytes=200_000)
ROOMY = Limits(connect_seconds=2, read_seconds=5, request_seconds=10)
HTML = "<!DOCTYPE html><html><body>점검 중입니다</body></html>".encode()
ROWS = wire.lessons(2500)
FIRST, SECOND, THIRD = ROWS[:1000], ROWS[1000:2000], ROWS[2000:]

Open = Callable[..., NeisClient]


def ask(client: NeisClient, *, deadline: float | None = None) -> Answer:
    return client.of_school(
        SERVICE,
        office_code=OFFICE,
        school_code=SCHOOL,
        first=MONDAY,
        last=date(2026, 6, 14),
        deadline=deadline,
    )


def pages_of(rows: list[Row], size: int = 1000) -> Answering:
    """NEIS as it should be."""

    def answer(asked: Asked) -> list[bytes]:
        part = rows[(asked.page - 1) * size : asked.page * size]
        return reply(page(SERVICE, part, total=len(rows)) if part else NO_DATA)

    return answer


def always(*chunks: bytes) -> Answering:
    return lambda asked: chunks


def hang_up_after(*chunks: bytes) -> Answering:
    def answer(asked: Asked) -> Iterator[bytes]:
        yield from chunks
        raise HangUp

    return answer


def one_row() -> bytes:
    return page(SERVICE, [wire.high()])


def scripted(*bodies: bytes) -> Answering:
    """One body for each request; the last one for all that follow."""
    return lambda asked: reply(bodies[min(asked.number, len(bodies)) - 1])


def part(rows: list[Row], total: int = 2500) -> bytes:
    return page(SERVICE, rows, total=total)
