"""The client and its keys: the next one is used, and none is ever told."""

import traceback
from collections.abc import Callable, Iterator

import pytest

from collection.neis import (
    KeyProblem,
    KeyRefused,
    Keys,
    KeySpent,
    NeisClient,
    NeisError,
)
from tests.collection.neis.asking import (
    KEY,
    QUICK,
    ROWS,
    SERVICE,
    Open,
    always,
    ask,
    hang_up_after,
    pages_of,
    part,
)
from tests.collection.neis.server import Answering, Asked, Server, reply, serving
from tests.collection.rows import page, result


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
