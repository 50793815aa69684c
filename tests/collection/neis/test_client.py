"""The client against a real server that behaves in every bad way known."""

import gzip
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from collection.neis import (
    SERVICES,
    Answer,
    BadRequest,
    ConnectionFailed,
    DeadlinePassed,
    Incomplete,
    KeyProblem,
    KeyRefused,
    Keys,
    KeySpent,
    Limits,
    Malformed,
    NeisClient,
    NeisError,
    ServerFault,
    Throttled,
    TimedOut,
    Transient,
)
from tests.collection import rows as wire
from tests.collection.neis.server import Answering, Asked, HangUp, Server, reply, serving
from tests.collection.rows import MONDAY, NO_DATA, OFFICE, SCHOOL, Row, page, result

SERVICE = "hisTimetable"
KEY = "0123456789abcdef+/=secret"
QUICK = Limits(connect_seconds=0.5, read_seconds=0.3, request_seconds=0.6, body_bytes=200_000)
ROOMY = Limits(connect_seconds=2, read_seconds=5, request_seconds=10)

Open = Callable[..., NeisClient]


@pytest.fixture
def serve() -> Iterator[Callable[[Answering], Server]]:
    contexts: list[AbstractContextManager[Server]] = []

    def start(answer: Answering) -> Server:
        contexts.append(serving(answer))
        return contexts[-1].__enter__()

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture
def connect() -> Iterator[Open]:
    clients: list[NeisClient] = []

    def start(
        server: Server | str,
        *keys: str,
        limits: Limits = ROOMY,
        **others: Any,
    ) -> NeisClient:
        url = server if isinstance(server, str) else server.base_url
        clients.append(NeisClient(base_url=url, keys=Keys(keys), limits=limits, **others))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


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


def one_row() -> bytes:
    return page(SERVICE, [wire.high()])


# Answers


@pytest.mark.parametrize(
    ("total", "requests"),
    [(1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2345, 3)],
)
def test_every_row_comes_in_order_with_the_fewest_requests_when_total_is(
    serve: Callable[[Answering], Server], connect: Open, total: int, requests: int
) -> None:
    rows = wire.lessons(total)
    server = serve(pages_of(rows))

    answer = ask(connect(server, KEY))

    assert list(answer.rows) == rows
    assert (answer.total, answer.requests, answer.complete) == (total, requests, True)
    assert [asked.page for asked in server.asked] == list(range(1, requests + 1))


def test_request_names_school_dates_and_key_when_a_timetable_is_asked(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(always(*reply(one_row())))

    ask(connect(server, KEY))

    (asked,) = server.asked
    assert asked.service == SERVICE
    assert asked.query == {
        "KEY": KEY,
        "Type": "json",
        "pIndex": "1",
        "pSize": "1000",
        "ATPT_OFCDC_SC_CODE": OFFICE,
        "SD_SCHUL_CODE": SCHOOL,
        "TI_FROM_YMD": "20260608",
        "TI_TO_YMD": "20260614",
    }


@pytest.mark.parametrize("office", ["", "B10"])
def test_school_list_is_asked_for_the_office_when_it_is(
    serve: Callable[[Answering], Server], connect: Open, office: str
) -> None:
    server = serve(always(*reply(page("schoolInfo", [wire.school()]))))

    answer = connect(server, KEY).schools(office)

    assert list(answer.rows) == [wire.school()]
    assert server.asked[0].query.get("ATPT_OFCDC_SC_CODE", "") == office


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(NO_DATA, id="bare"),
        pytest.param(page(SERVICE, [], total=0, code="INFO-200"), id="inside head"),
        pytest.param(
            b'{"hisTimetable":[{"head":[{"RESULT":{"CODE":"INFO-200","MESSAGE":""}}]}]}',
            id="inside head without a count",
        ),
    ],
)
def test_no_data_is_a_whole_answer_when_it_is(
    serve: Callable[[Answering], Server], connect: Open, body: bytes
) -> None:
    server = serve(always(*reply(body)))

    answer = ask(connect(server, KEY))

    assert (list(answer.rows), answer.total, answer.complete) == ([], 0, True)
    assert (answer.requests, len(server.asked)) == (1, 1)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(reply(one_row(), content_type="text/html; charset=EUC-KR"), id="says HTML"),
        pytest.param(reply(one_row(), content_type="image/png"), id="says an image"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", one_row(), None], id="no length"
        ),
        pytest.param(reply(gzip.compress(one_row()), Content_Encoding="gzip"), id="gzip"),
        pytest.param(reply(page(SERVICE, [wire.high()], code="INFO-100")), id="INFO-100"),
        pytest.param(
            reply(page(SERVICE, [wire.high()]).replace(b'"GRADE"', b'"NEW_FIELD":null,"GRADE"')),
            id="a field more",
        ),
    ],
)
def test_answer_is_read_when_the_server(
    serve: Callable[[Answering], Server], connect: Open, chunks: list[bytes | None]
) -> None:
    def answer(asked: Asked) -> Iterator[bytes]:
        for chunk in chunks:
            if chunk is None:
                raise HangUp
            yield chunk

    rows = ask(connect(serve(answer), KEY)).rows

    assert [row["ITRT_CNTNT"] for row in rows] == ["체육1"]


def test_answer_is_read_when_gzip_comes_byte_by_byte(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    head, body = reply(gzip.compress(one_row()), Content_Encoding="gzip")

    def answer(asked: Asked) -> Iterator[bytes]:
        yield head
        for byte in body[:40]:
            time.sleep(0.002)
            yield bytes([byte])
        yield body[40:]

    assert list(ask(connect(serve(answer), KEY)).rows) == [wire.high()]


def test_next_request_works_when_the_server_dropped_the_kept_connection(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    def answer(asked: Asked) -> Iterator[bytes]:
        yield from reply(one_row())
        raise HangUp

    client = connect(serve(answer), KEY)

    for _ in range(3):
        assert ask(client).complete
        time.sleep(0.05)


def test_each_thread_gets_its_own_answer_when_they_share_a_client(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(
        lambda asked: reply(page(SERVICE, [wire.high(SD_SCHUL_CODE=asked.query["SD_SCHUL_CODE"])]))
    )
    client = connect(server, KEY)

    def school_of_answer(code: str) -> str | None:
        answer = client.of_school(
            SERVICE, office_code=OFFICE, school_code=code, first=MONDAY, last=MONDAY
        )
        return answer.rows.row(0)["SD_SCHUL_CODE"]

    codes = [str(number) for number in range(60)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(school_of_answer, codes)) == codes


def test_proxy_and_netrc_are_not_used_when_the_environment_names_them(
    serve: Callable[[Answering], Server],
    connect: Open,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert ask(connect(serve(always(*reply(one_row()))), KEY)).complete


# What NEIS says


@pytest.mark.parametrize("inside_head", [False, True], ids=["bare", "head"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INFO-300", KeyRefused),
        ("ERROR-290", KeyRefused),
        ("ERROR-337", KeySpent),
        ("ERROR-300", BadRequest),
        ("ERROR-310", BadRequest),
        ("ERROR-333", BadRequest),
        ("ERROR-336", BadRequest),
        ("ERROR-500", ServerFault),
        ("ERROR-600", ServerFault),
        ("ERROR-601", ServerFault),
        ("ERROR-999", Transient),
    ],
)
def test_error_is_raised_after_one_request_when_code_is(
    serve: Callable[[Answering], Server],
    connect: Open,
    code: str,
    kind: type[NeisError],
    inside_head: bool,
) -> None:
    body = page(SERVICE, [], total=0, code=code) if inside_head else result(code)
    server = serve(always(*reply(body)))

    with pytest.raises(kind) as caught:
        ask(connect(server, KEY))

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.requests) == (code, 1)
    assert len(server.asked) == 1


HTML = "<!DOCTYPE html><html><body>점검 중입니다</body></html>".encode()


def without(field: str) -> Row:
    row = wire.high()
    del row[field]
    return row


def with_value(value: object) -> bytes:
    return page(SERVICE, [wire.high() | {"ITRT_CNTNT": value}])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(HTML, id="HTML"),
        pytest.param(b"<?xml version='1.0'?><hisTimetable/>", id="XML"),
        pytest.param(one_row()[:-5], id="cut short"),
        pytest.param(one_row() + one_row(), id="twice"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="empty object"),
        pytest.param(b"[" * 50_000, id="deep"),
        pytest.param(page("misTimetable", [wire.high()]), id="wrong root"),
        pytest.param(page("histimetable", [wire.high()]), id="root in small letters"),
        pytest.param(
            one_row().replace(b'"list_total_count":1', b'"list_total_count":NaN'), id="NaN"
        ),
        pytest.param(one_row().replace("체육1".encode(), b"\xb1\xb9"), id="not UTF-8"),
        pytest.param(one_row().replace("체육1".encode(), b"\\ud800"), id="half a surrogate"),
        pytest.param(with_value(1), id="number"),
        pytest.param(with_value(1.5), id="fraction"),
        pytest.param(with_value(True), id="boolean"),
        pytest.param(with_value(["국어"]), id="list in a row"),
        pytest.param(with_value({"a": "b"}), id="object in a row"),
        pytest.param(page(SERVICE, ["row"]), id="row of text"),
        pytest.param(page(SERVICE, [None]), id="null row"),
        pytest.param(
            page(SERVICE, [wire.high(), None]),
            id="null row later",
        ),
        pytest.param(
            page(SERVICE, [wire.high(), 7]),
            id="number later",
        ),
        pytest.param(page(SERVICE, [wire.high(), "x" * 16]), id="text later"),
        pytest.param(page(SERVICE, [wire.high(), ["x"] * 16]), id="list later"),
        pytest.param(
            page(SERVICE, [wire.high(), without("GRADE") | {"OTHER": "1"}]),
            id="another field later",
        ),
        pytest.param(
            page(SERVICE, [wire.high(), wire.high() | {"EXTRA": None}]), id="field more later"
        ),
        pytest.param(page(SERVICE, [wire.high(), without("CLASS_NM")]), id="field missing later"),
        pytest.param(page(SERVICE, [without("CLRM_NM")]), id="field of this service missing"),
        pytest.param(page(SERVICE, [wire.high()], total="1"), id="count is text"),
        pytest.param(page(SERVICE, [wire.high()], total=1.0), id="count is a fraction"),
        pytest.param(page(SERVICE, [wire.high()], total=True), id="count is a boolean"),
        pytest.param(page(SERVICE, [wire.high()], total=-1), id="count is negative"),
        pytest.param(one_row().replace(b"list_total_count", b"list_total"), id="no count"),
        pytest.param(b'{"hisTimetable":[]}', id="no head"),
        pytest.param(b'{"hisTimetable":null}', id="null root"),
        pytest.param(b'{"hisTimetable":{"head":[],"row":[]}}', id="object root"),
        pytest.param(one_row().replace(b'"row":[', b'"rows":['), id="no rows"),
        pytest.param(
            b'{"hisTimetable":[{"head":[{"list_total_count":1},'
            b'{"RESULT":{"CODE":"INFO-000","MESSAGE":""}}]}]}',
            id="success without rows",
        ),
        pytest.param(result("INFO-000"), id="bare success"),
        pytest.param(b'{"RESULT":{"MESSAGE":"x"}}', id="result without a code"),
        pytest.param(b'{"RESULT":{"CODE":290}}', id="code is a number"),
        pytest.param(b'{"RESULT":"ERROR-290"}', id="result is text"),
    ],
)
def test_answer_is_malformed_after_one_request_when_body_is(
    serve: Callable[[Answering], Server], connect: Open, body: bytes
) -> None:
    server = serve(always(*reply(body)))

    with pytest.raises(Malformed) as caught:
        ask(connect(server, KEY))

    assert (caught.value.requests, len(server.asked)) == (1, 1)
    assert len(caught.value.sample) <= 300


def test_sample_shows_the_beginning_when_the_body_is_no_answer(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    with pytest.raises(Malformed, match="HTML") as caught:
        ask(connect(serve(always(*reply(HTML))), KEY))

    assert "점검 중입니다" in caught.value.sample


# HTTP


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        pytest.param(429, {"Retry_After": "7"}, Throttled, 7.0, id="429 with seconds"),
        pytest.param(429, {}, Throttled, None, id="429"),
        pytest.param(
            429,
            {"Retry_After": "Mon, 08 Jun 2026 00:00:00 GMT"},
            Throttled,
            None,
            id="429 with a date",
        ),
        pytest.param(429, {"Retry_After": "-5"}, Throttled, None, id="429 with nonsense"),
        pytest.param(503, {"Retry_After": "30"}, Throttled, 30.0, id="503 with seconds"),
        pytest.param(503, {}, ServerFault, None, id="503"),
        pytest.param(500, {}, ServerFault, None, id="500"),
        pytest.param(502, {}, ServerFault, None, id="502"),
        pytest.param(400, {}, BadRequest, None, id="400"),
        pytest.param(403, {}, BadRequest, None, id="403"),
        pytest.param(404, {}, BadRequest, None, id="404"),
        pytest.param(301, {"Location": "/hub/elsewhere"}, BadRequest, None, id="301"),
        pytest.param(302, {"Location": "/hub/elsewhere"}, BadRequest, None, id="302"),
        pytest.param(307, {"Location": "http://127.0.0.1:1/"}, BadRequest, None, id="307"),
    ],
)
def test_error_is_raised_after_one_request_when_status_is(
    serve: Callable[[Answering], Server],
    connect: Open,
    status: int,
    headers: dict[str, Any],
    kind: type[NeisError],
    wait: float | None,
) -> None:
    server = serve(always(*reply(one_row(), status=status, **headers)))

    with pytest.raises(kind) as caught:
        ask(connect(server, KEY))

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.requests) == (f"HTTP {status}", 1)
    assert getattr(caught.value, "retry_after_seconds", None) == wait
    assert [asked.service for asked in server.asked] == [SERVICE]


# Transport


def hang_up_after(*chunks: bytes) -> Answering:
    def answer(asked: Asked) -> Iterator[bytes]:
        yield from chunks
        raise HangUp

    return answer


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


# Pages


def scripted(*bodies: bytes) -> Answering:
    """One body for each request; the last one for all that follow."""
    return lambda asked: reply(bodies[min(asked.number, len(bodies)) - 1])


ROWS = wire.lessons(2500)
FIRST, SECOND, THIRD = ROWS[:1000], ROWS[1000:2000], ROWS[2000:]


def part(rows: list[Row], total: int = 2500) -> bytes:
    return page(SERVICE, rows, total=total)


@pytest.mark.parametrize(
    ("bodies", "requests"),
    [
        pytest.param([part(FIRST), part(SECOND, total=2501)], 2, id="total grows"),
        pytest.param([part(FIRST), part(SECOND, total=2499)], 2, id="total shrinks"),
        pytest.param([part(FIRST), part(SECOND), part(THIRD, total=1)], 3, id="total falls"),
        pytest.param([part(FIRST), part(FIRST)], 2, id="page repeated"),
        pytest.param([part(FIRST), part(SECOND), part(FIRST)], 3, id="page repeated at the end"),
        pytest.param([part(FIRST), NO_DATA], 2, id="page without data"),
        pytest.param([part(FIRST), part([])], 2, id="page without rows"),
        pytest.param([part(FIRST[:999])], 1, id="first page short"),
        pytest.param([part(FIRST), part(SECOND[:-1])], 2, id="middle page short"),
        pytest.param([part(FIRST), part(SECOND), part(THIRD[:-1])], 3, id="last page short"),
        pytest.param([part(FIRST), part(SECOND), part(ROWS[1999:])], 3, id="last page long"),
        pytest.param([part(ROWS[:7], total=8)], 1, id="row missing"),
        pytest.param([part(ROWS[:7], total=6)], 1, id="row too many"),
        pytest.param([part(ROWS[:7], total=0)], 1, id="rows and a count of none"),
        pytest.param([part([], total=7)], 1, id="count and no rows"),
        pytest.param([part(ROWS[:1001])], 1, id="page too long"),
        pytest.param([part(FIRST, total=10**12)], 2, id="count beyond reason"),
    ],
)
def test_answer_is_incomplete_and_no_more_is_asked_when(
    serve: Callable[[Answering], Server], connect: Open, bodies: list[bytes], requests: int
) -> None:
    server = serve(scripted(*bodies))

    with pytest.raises(Incomplete) as caught:
        ask(connect(server, KEY))

    assert (caught.value.requests, len(server.asked)) == (requests, requests)


@pytest.mark.parametrize("odd", [0, 1], ids=["first", "second"])
def test_answer_is_malformed_when_one_page_has_a_field_more(
    serve: Callable[[Answering], Server], connect: Open, odd: int
) -> None:
    pages = [FIRST, SECOND]
    pages[odd] = [row | {"EXTRA": "1"} for row in pages[odd]]
    server = serve(scripted(*(part(rows, total=2000) for rows in pages)))

    with pytest.raises(Malformed):
        ask(connect(server, KEY))


def test_requests_are_counted_when_a_later_page_fails(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(scripted(part(FIRST), result("ERROR-600")))

    with pytest.raises(ServerFault) as caught:
        ask(connect(server, KEY))

    assert caught.value.requests == 2


# Keys


def turning_away(**codes: str) -> Answering:
    """Turns keys away by code; others get the rows."""
    good = pages_of(ROWS)

    def answer(asked: Asked) -> list[bytes]:
        code = codes.get(asked.key or "")
        return reply(result(code)) if code else list(good(asked))

    return answer


@pytest.mark.parametrize("code", ["ERROR-337", "ERROR-290", "INFO-300"])
def test_next_key_gets_the_whole_answer_when_the_first_is_turned_away(
    serve: Callable[[Answering], Server], connect: Open, code: str
) -> None:
    server = serve(turning_away(one=code))
    client = connect(server, "one", "two")

    answer = ask(client)

    assert (list(answer.rows), answer.requests) == (ROWS, 4)
    assert [(asked.key, asked.page) for asked in server.asked] == [
        ("one", 1),
        ("two", 1),
        ("two", 2),
        ("two", 3),
    ]
    ask(client)
    assert {asked.key for asked in server.asked[4:]} == {"two"}


def test_answer_goes_on_with_the_next_key_when_one_is_spent_between_pages(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    def answer(asked: Asked) -> list[bytes]:
        if asked.key == "one" and asked.page == 2:
            return reply(result("ERROR-337"))
        return list(pages_of(ROWS)(asked))

    server = serve(answer)

    whole = ask(connect(server, "one", "two"))

    assert (list(whole.rows), whole.requests) == (ROWS, 4)
    assert [(asked.key, asked.page) for asked in server.asked] == [
        ("one", 1),
        ("one", 2),
        ("two", 2),
        ("two", 3),
    ]


@pytest.mark.parametrize(("code", "kind"), [("ERROR-337", KeySpent), ("ERROR-290", KeyRefused)])
def test_each_key_is_tried_once_when_every_key_is_turned_away(
    serve: Callable[[Answering], Server], connect: Open, code: str, kind: type[KeyProblem]
) -> None:
    server = serve(turning_away(one=code, two=code, three=code))
    client = connect(server, "one", "two", "three")

    with pytest.raises(kind) as caught:
        ask(client)

    assert [asked.key for asked in server.asked] == ["one", "two", "three"]
    assert caught.value.requests == 3
    with pytest.raises(kind):
        ask(client)
    assert len(server.asked) == 3


def test_five_rows_are_no_whole_answer_when_there_is_no_key(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(always(*reply(part(ROWS[:5], total=2500))))

    answer = ask(connect(server))

    assert (list(answer.rows), answer.total, answer.complete) == (ROWS[:5], 2500, False)
    assert [asked.query.get("KEY") for asked in server.asked] == [None]


def test_error_is_raised_when_there_is_no_key_and_neis_wants_one(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    server = serve(always(*reply(result("ERROR-290"))))

    with pytest.raises(KeyRefused):
        ask(connect(server))

    assert len(server.asked) == 1


def echo(asked: Asked) -> bytes:
    return (
        f"<html>GET /hub/x?KEY={asked.key} and alone {asked.key}"
        f" and quoted 0123456789abcdef%2B%2F%3Dsecret</html>"
    ).encode()


def later(asked: Asked, *, at: int) -> bytes:
    return b"<html>".ljust(at) + (asked.key or "").encode()


def quoting(asked: Asked, code: str) -> list[bytes]:
    return reply(result(code, f"{asked.key} is wrong"))


LEAKY: dict[str, Answering] = {
    "redirect": lambda asked: reply(status=302, Location=f"/x?KEY={asked.key}"),
    "status": lambda asked: reply(echo(asked), status=500),
    "bad request": lambda asked: reply(echo(asked), status=400),
    "throttled": lambda asked: reply(echo(asked), status=429),
    "HTML that quotes the address": lambda asked: reply(echo(asked)),
    "JSON of another shape": lambda asked: reply(b'{"url":"%b"}' % (asked.key or "").encode()),
    "hang-up": hang_up_after(),
    "no HTTP": lambda asked: [echo(asked) + b"\r\n\r\n"],
    "cut": hang_up_after(*reply(b"{", length=100)),
    "endless body": lambda asked: reply(b" " * 300_000),
    "broken gzip": lambda asked: reply(echo(asked), Content_Encoding="gzip"),
    "refused": lambda asked: reply(result("ERROR-290")),
    "bad code": lambda asked: reply(result("ERROR-300")),
    "incomplete": lambda asked: reply(page(SERVICE, [], total=3)),
    "message that quotes the key": lambda asked: quoting(asked, "ERROR-300"),
    "unknown message that quotes the key": lambda asked: quoting(asked, "ERROR-999"),
    "sample that ends inside the key": lambda asked: reply(later(asked, at=290)),
    "larger sample that ends inside the key": lambda asked: reply(later(asked, at=2990)),
}


@pytest.mark.parametrize("answer", LEAKY.values(), ids=LEAKY)
def test_key_is_nowhere_in_the_error_when_answer_is(
    serve: Callable[[Answering], Server], connect: Open, answer: Answering
) -> None:
    assert_key_is_hidden(connect(serve(answer), KEY, limits=QUICK))


@pytest.mark.parametrize("code", ["ERROR-290", "ERROR-337", "INFO-300"])
def test_key_is_nowhere_in_the_error_when_it_is_turned_away_by_name(
    serve: Callable[[Answering], Server], connect: Open, code: str
) -> None:
    assert_key_is_hidden(connect(serve(lambda asked: quoting(asked, code)), KEY))


def test_key_is_nowhere_in_the_error_when_nobody_listens(connect: Open) -> None:
    with serving(always()) as server:
        url = server.base_url

    assert_key_is_hidden(connect(url, KEY, limits=QUICK))


def test_key_is_nowhere_in_the_error_when_there_is_no_answer(
    serve: Callable[[Answering], Server], connect: Open
) -> None:
    servers: list[Server] = []

    def answer(asked: Asked) -> Iterator[bytes]:
        servers[0].gone.wait(2)
        yield b""

    servers.append(serve(answer))

    assert_key_is_hidden(connect(servers[0], KEY, limits=QUICK))


def assert_key_is_hidden(client: NeisClient) -> None:
    with pytest.raises(NeisError) as caught:
        ask(client)
    error = caught.value
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    assert error.__cause__ is None
    for secret in ("0123456789abcdef", "%3Dsecret", "=secret"):
        assert not [text for text in shown if secret in text]


def test_key_does_not_show_itself_when_it_is_printed() -> None:
    key = Keys([KEY]).current()

    assert key is not None
    assert "0123456789" not in f"{key} {key!r} {[key]}"


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


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_asked_under_its_own_name_when_it_is(
    serve: Callable[[Answering], Server], connect: Open, name: str
) -> None:
    server = serve(always(*reply(NO_DATA)))

    connect(server, KEY).ask(SERVICES[name], {})

    assert [asked.service for asked in server.asked] == [name]
