"""The client against connections that break, drip or never end, and against the clock."""

import gzip
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from collection.neis import (
    ConnectionFailed,
    DeadlinePassed,
    Limits,
    Malformed,
    ServerFault,
    TimedOut,
)
from tests.collection.neis.asking import (
    FIRST,
    KEY,
    QUICK,
    ROWS,
    SECOND,
    Open,
    always,
    ask,
    hang_up_after,
    one_row,
    pages_of,
    part,
    scripted,
)
from tests.collection.neis.server import Answering, Asked, Server, reply, serving
from tests.collection.rows import result

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hang_up_after(), id="before a byte"),
        pytest.param(hang_up_after(*reply(one_row()[:40], length=400)), id="inside the body"),
        pytest.param(hang_up_after(*reply(one_row(), length=5000)), id="after what looks whole"),
        pytest.param(hang_up_after(CHUNKED, b"5\r\nab"), id="inside a chunk"),
        pytest.param(
            hang_up_after(CHUNKED, b"%x\r\n%b\r\n" % (len(one_row()), one_row())),
            id="before the last chunk",
        ),
        pytest.param(always(b"what is this\r\n\r\n"), id="no HTTP"),
        pytest.param(always(CHUNKED, b"zz\r\n"), id="broken chunk"),
        pytest.param(
            always(*reply(b"\x1f\x8bnot gzip", Content_Encoding="gzip")), id="broken gzip"
        ),
        pytest.param(
            hang_up_after(
                *reply(gzip.compress(one_row())[:60], length=400, Content_Encoding="gzip")
            ),
            id="inside gzip",
        ),
    ],
)
def test_connection_fails_after_one_request_when_it_breaks(
    serve: Callable[[Answering], Server], connect: Open, answer: Answering
) -> None:
    server = serve(answer)

    with pytest.raises(ConnectionFailed) as caught:
        ask(connect(server, KEY, limits=QUICK))

    assert (caught.value.requests, len(server.asked)) == (1, 1)


def test_answer_may_come_later_when_the_connection_breaks_inside_the_head(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(hang_up_after(b"HTTP/1.1 200 OK\r\nContent-Le"))

    with pytest.raises((ConnectionFailed, Malformed)):
        ask(connect(server, KEY, limits=QUICK))

    assert len(server.asked) == 1


def test_connection_fails_when_nobody_listens(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    with serving(always()) as server:
        url = server.base_url

    with pytest.raises(ConnectionFailed) as caught:
        ask(connect(url, KEY))

    assert caught.value.requests == 1


def drip(server_of: list[Server], *before: bytes, bytes_of: bytes) -> Answering:
    """Sends `before`, and then one byte every twentieth of a second."""

    def answer(asked: Asked) -> Iterator[bytes]:
        yield from before
        for byte in bytes_of:
            if server_of[0].gone.wait(0.05):
                return
            yield bytes([byte])

    return answer


HEAD_OF_LONG_BODY = reply(b"", length=100_000)[0]


@pytest.mark.parametrize(
    ("before", "dripped"),
    [
        pytest.param((), b"", id="silence"),
        pytest.param((HEAD_OF_LONG_BODY,), b"", id="silence after the head"),
        pytest.param((HEAD_OF_LONG_BODY,), b" " * 100, id="drip of the body"),
        pytest.param((CHUNKED,), b"1\r\n \r\n" * 30, id="drip of chunks"),
        pytest.param(
            (),
            b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 20,
            id="drip of the head",
        ),
    ],
)
def test_request_ends_in_time_when_the_server_sends(
    serve: Callable[[Answering], Server],
    connect: Open,
    before: tuple[bytes, ...],
    dripped: bytes,
) -> None:
    servers: list[Server] = []

    def answer(asked: Asked) -> Iterator[bytes]:
        yield from drip(servers, *before, bytes_of=dripped)(asked)
        servers[0].gone.wait(3)

    servers.append(serve(answer))
    began = time.monotonic()

    with pytest.raises(TimedOut):
        ask(connect(servers[0], KEY, limits=QUICK))

    assert time.monotonic() - began < 1.5
    assert len(servers[0].asked) == 1


def test_answer_is_dropped_early_when_the_body_has_no_end(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    sent = 0

    def answer(asked: Asked) -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        for _ in range(10_000):
            sent += 1
            yield b" " * 65536

    with pytest.raises(Malformed, match="larger"):
        ask(connect(serve(answer), KEY, limits=QUICK))

    assert sent < 1000


@pytest.mark.parametrize("layers", [1, 2])
def test_memory_stays_small_when_the_body_is_a_bomb(
    serve: Callable[[Answering], Server], connect: Open, layers: int
) -> None:
    bomb = b" " * 100_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb, compresslevel=6)
    server = serve(always(*reply(bomb, Content_Encoding=", ".join(["gzip"] * layers))))
    client = connect(server, KEY, limits=Limits(body_bytes=1_000_000))

    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="larger"):
            ask(client)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


# Gate and deadline


def test_gate_is_entered_around_each_request_and_left_when_one_fails(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    events: list[str] = []
    until = time.monotonic() + 60

    @contextmanager
    def gate(deadline: float | None) -> Iterator[None]:
        assert deadline == until
        events.append("in")
        try:
            yield
        finally:
            events.append("out")

    server = serve(scripted(part(FIRST), part(SECOND), result("ERROR-500")))

    with pytest.raises(ServerFault):
        ask(connect(server, KEY, gate=gate), deadline=until)

    assert events == ["in", "out"] * 3


def test_nothing_is_asked_when_the_deadline_has_passed(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(always(*reply(one_row())))

    with pytest.raises(DeadlinePassed):
        ask(connect(server, KEY), deadline=time.monotonic() - 0.001)

    assert server.asked == []


def test_no_further_page_is_asked_when_the_deadline_passes_between_pages(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    def answer(asked: Asked) -> list[bytes]:
        time.sleep(0.15)
        return list(pages_of(ROWS)(asked))

    server = serve(answer)

    with pytest.raises((DeadlinePassed, TimedOut)):
        ask(connect(server, KEY), deadline=time.monotonic() + 0.2)

    assert len(server.asked) <= 2


def test_deadline_ends_the_request_when_it_comes_before_the_limit(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    servers: list[Server] = []
    servers.append(
        serve(lambda asked: drip(servers, HEAD_OF_LONG_BODY, bytes_of=b" " * 100)(asked))
    )
    began = time.monotonic()

    with pytest.raises((TimedOut, DeadlinePassed)):
        ask(connect(servers[0], KEY), deadline=time.monotonic() + 0.3)

    assert time.monotonic() - began < 1


def test_threads_wait_for_each_other_when_the_gate_says_so(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    lock = threading.Lock()
    inside, most = 0, 0
    counting = threading.Lock()

    def answer(asked: Asked) -> list[bytes]:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        with counting:
            inside -= 1
        return reply(one_row())

    client = connect(serve(answer), KEY, gate=lambda deadline: lock)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: ask(client).complete, range(8)))
    assert most == 1
