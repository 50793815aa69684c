"""A request ends in time, in the clear and over TLS, however slowly its bytes come."""

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from collection.neis import Keys, Limits, NeisClient, TimedOut
from collection.neis.connections import EndingAdapter, reading_until
from collection.neis_emulator import Emulator, Fault, World, running
from tests.collection.neis.server import Asked, Server, reply, serving
from tests.collection.rows import MONDAY

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, authority: trustme.CA) -> ssl.SSLContext | None:
    if request.param == "http":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def session(authority: trustme.CA, tmp_path: Path) -> Iterator[requests.Session]:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(tmp_path / "authority.pem")
        session.mount("http://", EndingAdapter())
        session.mount("https://", EndingAdapter())
        yield session


@pytest.mark.parametrize(
    ("before", "dripped"),
    [
        pytest.param(b"", HEAD, id="head"),
        pytest.param(HEAD, b" " * 100, id="body"),
    ],
)
def test_request_ends_in_time_on_a_drip_of_the(
    session: requests.Session, tls: ssl.SSLContext | None, before: bytes, dripped: bytes
) -> None:
    servers: list[Server] = []

    def answer(asked: Asked) -> Iterator[bytes]:
        yield before
        for byte in dripped:
            yield bytes([byte])
            if servers[0].gone.wait(0.05):
                return

    with serving(answer, tls=tls) as server:
        servers.append(server)
        began = time.monotonic()
        with (
            reading_until(began + 0.5),
            pytest.raises(requests.RequestException, match="timed out"),
        ):
            session.get(server.base_url, timeout=5)
        assert 0.4 < time.monotonic() - began < 1


def test_silence_ends_the_request_before_its_time(
    session: requests.Session, tls: ssl.SSLContext | None
) -> None:
    servers: list[Server] = []

    def answer(asked: Asked) -> Iterator[bytes]:
        yield HEAD[:10]
        servers[0].gone.wait(5)

    with serving(answer, tls=tls) as server:
        servers.append(server)
        began = time.monotonic()
        with reading_until(began + 5), pytest.raises(requests.Timeout):
            session.get(server.base_url, timeout=(5, 0.3))
        assert time.monotonic() - began < 1


def test_connection_has_all_of_its_time_again_when_it_is_used_again(
    session: requests.Session, tls: ssl.SSLContext | None
) -> None:
    connections = set()

    def answer(asked: Asked) -> Iterator[bytes]:
        connections.add(threading.get_ident())
        if asked.number == 2:
            time.sleep(0.6)
        yield from reply(b"%d" % asked.number)

    with serving(answer, tls=tls) as server:
        texts = []
        for seconds in (0.4, 5.0):
            with reading_until(time.monotonic() + seconds):
                texts.append(session.get(server.base_url, timeout=5).text)
    assert (texts, len(connections)) == (["1", "2"], 1)


def test_client_times_out_when_the_emulator_drips_the_head() -> None:
    world = World(3, schools=4)
    school = world.schools[0]
    with running(Emulator(world)) as emulator:
        emulator.faults.switch([Fault("drip_head")])
        client = NeisClient(
            base_url=emulator.base_url,
            keys=Keys(emulator.keys),
            limits=Limits(read_seconds=5, request_seconds=1.5),
        )
        began = time.monotonic()
        with pytest.raises(TimedOut):
            client.of_school(
                school.service,
                office_code=school.office_code,
                school_code=school.school_code,
                first=MONDAY,
                last=MONDAY,
            )
        client.close()
    assert 1.4 < time.monotonic() - began < 2.5
