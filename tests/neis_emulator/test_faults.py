"""What each fault does on the wire, and whom it meets."""

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
import requests

from collection.neis_emulator import KINDS, Emulator, Fault, School, all_transient

from .conftest import KEY, Ask


@contextmanager
def raw_request(emulator: Emulator, school: School) -> Iterator[socket.socket]:
    """A connection on which the week of the school was asked for."""
    parts = urlsplit(emulator.base_url)
    query = urlencode(
        {
            "KEY": KEY,
            "Type": "json",
            "pSize": "1000",
            "ATPT_OFCDC_SC_CODE": school.office_code,
            "SD_SCHUL_CODE": school.school_code,
            "TI_FROM_YMD": "20260608",
            "TI_TO_YMD": "20260614",
        }
    )
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=2)) as peer:
        peer.sendall(f"GET /hub/{school.service}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield peer


def read_all(peer: socket.socket) -> tuple[bytes, bytes]:
    """Headers and body, up to the end of the connection."""
    received = b"".join(iter(lambda: peer.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def page(answer: requests.Response) -> tuple[int, list[dict[str, Any]]]:
    parts = answer.json()["hisTimetable"]
    return parts[0]["head"][0]["list_total_count"], parts[1]["row"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_status_and_retry_after(emulator: Emulator, ask: Ask, status: int) -> None:
    emulator.faults.switch([Fault(f"http_{status}", seconds=20)])
    answer = ask()
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "20")


@pytest.mark.parametrize("kind", ["error_300", "error_500", "error_600", "error_601"])
def test_result_codes(emulator: Emulator, ask: Ask, kind: str) -> None:
    emulator.faults.switch([Fault(kind)])
    assert ask().json()["RESULT"]["CODE"] == kind.upper().replace("_", "-")


def test_latency_only_delays(emulator: Emulator, ask: Ask) -> None:
    right = ask().content
    emulator.faults.switch([Fault("latency", seconds=0.3)])
    begun = time.monotonic()
    assert ask().content == right
    assert time.monotonic() - begun >= 0.3


def test_connection_is_dropped_on_reset(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("reset")])
    with pytest.raises(requests.ConnectionError):
        ask()


def test_nothing_comes_on_a_time_out(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("time_out")])
    with raw_request(emulator, school) as peer:
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.recv(1)


def test_only_headers_come_on_a_hang(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("hang")])
    with raw_request(emulator, school) as peer:
        peer.settimeout(0.5)
        assert peer.recv(65536).endswith(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            peer.recv(1)


def test_bytes_come_one_by_one_on_a_drip(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("drip")])
    with raw_request(emulator, school) as peer:
        head = peer.recv(65536)
        begun = time.monotonic()
        while len(head.partition(b"\r\n\r\n")[2]) < 2:
            head += peer.recv(65536)
        assert time.monotonic() - begun >= 0.9


def test_the_head_comes_byte_by_byte_on_a_drip_of_it(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("drip_head")])
    with raw_request(emulator, school) as peer:
        begun = time.monotonic()
        assert [peer.recv(65536), peer.recv(65536)] == [b"H", b"T"]
        assert time.monotonic() - begun >= 0.9


def test_a_cut_body_is_shorter_than_promised(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("cut")])
    with raw_request(emulator, school) as peer:
        head, body = read_all(peer)
    promised = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert len(body) == promised // 2


def test_a_huge_body_does_not_lie_in_the_memory_of_the_server(
    emulator: Emulator, school: School
) -> None:
    emulator.faults.switch([Fault("huge")])
    with raw_request(emulator, school) as peer:
        assert b"Content-Length: 209715200" in peer.recv(4096)
        assert sum(len(peer.recv(1 << 20)) for _ in range(20)) > 0


def test_a_gzip_bomb_unpacks_to_far_more_than_was_sent(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("gzip_bomb")])
    with raw_request(emulator, school) as peer:
        peer.settimeout(10)
        received = b""
        while b"\r\n\r\n" not in received:
            received += peer.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += peer.recv(1 << 20)
    assert b"Content-Encoding: gzip" in head
    assert len(gzip.decompress(body)) > 50 * len(body)


def test_html_comes_with_status_200(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("html")])
    answer = ask()
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("kind", ["truncated_json", "nan"])
def test_strict_readers_refuse_the_body(emulator: Emulator, ask: Ask, kind: str) -> None:
    emulator.faults.switch([Fault(kind)])
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(ask().content)


def test_the_root_is_not_the_service(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("wrong_root")])
    assert "hisTimetable" not in ask().json()


def test_a_key_stands_twice(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("duplicate_keys")])
    assert ask().content.count(b'"list_total_count":') == 2


def test_a_row_lacks_a_field(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("missing_field")])
    _, rows = page(ask())
    assert set(rows[0]) - set(rows[-1]) == {"ATPT_OFCDC_SC_CODE"}


def test_an_error_stands_inside_the_head(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("error_in_head")])
    head = ask().json()["hisTimetable"][0]["head"]
    assert head[1]["RESULT"]["CODE"] == "ERROR-500"


def test_the_content_type_lies(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("content_type")])
    answer = ask()
    assert answer.headers["Content-Type"].startswith("text/html")
    assert page(answer)[1]


def test_a_redirect_points_to_another_host(emulator: Emulator, school: School) -> None:
    emulator.faults.switch([Fault("redirect")])
    with raw_request(emulator, school) as peer:
        head = peer.recv(4096)
    assert head.startswith(b"HTTP/1.1 302")
    assert b"127.0.0.1" not in head.split(b"Location: ")[1].split(b"\r\n")[0]


def test_totals_differ_between_pages(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("moving_total")])
    totals = {page(ask(pSize="100", pIndex=str(n)))[0] for n in (1, 2)}
    assert len(totals) == 2


@pytest.mark.parametrize("kind", ["total_too_large", "missing_rows"])
def test_there_are_fewer_rows_than_the_total(emulator: Emulator, ask: Ask, kind: str) -> None:
    emulator.faults.switch([Fault(kind)])
    total, rows = page(ask())
    assert len(rows) < total


def test_the_second_page_is_the_first_again(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("repeated_page")])
    assert ask(pSize="100", pIndex="2").content == ask(pSize="100").content


def test_a_school_is_emptied_or_loses_a_part(emulator: Emulator, ask: Ask) -> None:
    whole, _ = page(ask())
    emulator.faults.switch([Fault("emptied")])
    assert ask().json()["RESULT"]["CODE"] == "INFO-200"
    emulator.faults.switch([Fault("halved")])
    total, rows = page(ask())
    assert total == len(rows) < whole


def test_only_named_schools_are_met(emulator: Emulator, ask: Ask, school: School) -> None:
    other = next(s for s in emulator.world.schools if s != school and s.level == "high")
    emulator.faults.switch([Fault("http_503", schools=frozenset({school.school_code}))])
    codes = {"ATPT_OFCDC_SC_CODE": other.office_code, "SD_SCHUL_CODE": other.school_code}
    assert (ask().status_code, ask(**codes).status_code) == (503, 200)


def test_only_the_first_attempts_at_each_page_are_met(emulator: Emulator, ask: Ask) -> None:
    emulator.faults.switch([Fault("http_503", first=2)])
    for number in ("1", "2"):
        statuses = [ask(pSize="100", pIndex=number).status_code for _ in range(3)]
        assert statuses == [503, 503, 200]


def test_a_share_meets_the_same_requests_when_they_are_made_again(
    emulator: Emulator, ask: Ask
) -> None:
    def outcomes() -> list[int]:
        emulator.faults.switch([Fault("http_503", share=0.4)])
        return [ask(pIndex="1").status_code for _ in range(40)]

    first = outcomes()
    assert first == outcomes()
    assert 5 < first.count(503) < 30


def test_the_mix_of_transient_faults_lets_the_third_attempt_through() -> None:
    assert {fault.kind for fault in all_transient()} <= set(KINDS)
    assert all(fault.first == 2 for fault in all_transient())
    assert sum(fault.share for fault in all_transient(0.06)) == pytest.approx(0.06)


def test_unknown_kinds_and_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        Fault.of({"kind": "earthquake"})
    with pytest.raises(ValueError, match="magnitude"):
        Fault.of({"kind": "reset", "magnitude": 9})
