"""The client against a real server: answers, errors and pages."""

import gzip
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from collection.neis import (
    SERVICES,
    BadRequest,
    Incomplete,
    KeyRefused,
    KeySpent,
    Malformed,
    NeisError,
    ServerFault,
    Throttled,
    Transient,
)
from tests.collection import rows as wire
from tests.collection.neis.asking import (
    FIRST,
    HTML,
    KEY,
    ROWS,
    SECOND,
    SERVICE,
    THIRD,
    Open,
    always,
    ask,
    one_row,
    pages_of,
    part,
    scripted,
)
from tests.collection.neis.server import Answering, Asked, HangUp, Server, reply
from tests.collection.rows import MONDAY, NO_DATA, OFFICE, SCHOOL, Row, page, result

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


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_asked_under_its_own_name_when_it_is(
    serve: Callable[[Answering], Server], connect: Open, name: str
) -> None:
    server = serve(always(*reply(NO_DATA)))

    connect(server, KEY).ask(SERVICES[name], {})

    assert [asked.service for asked in server.asked] == [name]


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


# Pages


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
