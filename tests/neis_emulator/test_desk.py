"""The control desk, the journal and the command line, as another process meets them."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from collection.neis_emulator import Emulator, School

from .conftest import KEY, Ask

ROOT = Path(__file__).parents[2]


@pytest.fixture
def desk(emulator: Emulator) -> str:
    return emulator.base_url.replace("/hub", "/_emulator")


def test_faults_are_switched_by_json(emulator: Emulator, desk: str, ask: Ask) -> None:
    faults = [{"kind": "http_429", "seconds": 3, "first": 1}]
    state = requests.put(f"{desk}/faults", json=faults, timeout=5).json()
    assert state["faults"][0]["kind"] == "http_429"
    assert [ask().status_code for _ in range(2)] == [429, 200]
    assert requests.put(f"{desk}/faults", json=[{"kind": "x"}], timeout=5).status_code == 400


def test_the_log_tells_requests_and_no_key(desk: str, ask: Ask, school: School) -> None:
    ask()
    ask(KEY="second-key")
    ask(KEY="stolen-key")
    answer = requests.get(f"{desk}/log", timeout=5)
    assert [entry["key"] for entry in answer.json()] == [0, 1, None]
    assert [entry["outcome"] for entry in answer.json()] == ["right", "right", "ERROR-290"]
    assert answer.json()[0]["school"] == school.school_code
    assert not any(key in answer.text for key in (KEY, "second-key", "stolen-key"))
    requests.delete(f"{desk}/log", timeout=5)
    assert requests.get(f"{desk}/log", timeout=5).json() == []


def test_requests_are_counted_by_service_and_outcome(desk: str, ask: Ask) -> None:
    for _ in range(3):
        ask()
    ask("classInfo")
    state = requests.get(f"{desk}/state", timeout=5).json()
    assert state["requests"] == 4
    assert state["by_service"] == {"hisTimetable": 3, "classInfo": 1}
    assert state["by_outcome"] == {"right": 4}
    assert state["most_in_a_second"] >= 1


def test_requests_in_flight_are_seen(emulator: Emulator, desk: str, ask: Ask) -> None:
    slow = [{"kind": "latency", "seconds": 0.5}]
    requests.put(f"{desk}/faults", json=slow, timeout=5)
    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emulator.journal.most_in_flight >= 5


def test_truth_and_schools_are_told(emulator: Emulator, desk: str, school: School) -> None:
    where = {"office": school.office_code, "school": school.school_code, "monday": "2026-06-08"}
    truth = requests.get(f"{desk}/truth", params=where, timeout=5).json()
    assert len(truth) > 100
    assert truth[0]["SD_SCHUL_CODE"] == school.school_code
    schools = requests.get(f"{desk}/schools", timeout=5).json()
    assert len(schools) == len(emulator.world.schools)


def test_the_world_moves_on_by_request(emulator: Emulator, desk: str, ask: Ask) -> None:
    world = emulator.world
    before, right = world.clock.now(), ask().content
    try:
        requests.post(f"{desk}/world", json={"revision": 1}, timeout=5)
        assert ask().content != right
        requests.post(f"{desk}/world", json={"revision": 0, "now": "2026-06-13T09:00"}, timeout=5)
        assert b'"LOAD_DTM":"20260613"' in ask().content
    finally:
        world.revision = 0
        world.clock.set(before)


def test_keys_are_limited_and_blocked_by_index(desk: str, ask: Ask) -> None:
    requests.post(f"{desk}/keys", json={"daily_limit": 1}, timeout=5)
    codes: list[Any] = [ask().json().get("RESULT", {}).get("CODE") for _ in range(2)]
    assert codes == [None, "ERROR-337"]
    requests.post(f"{desk}/keys", json={"forget_calls": True, "blocked": [0]}, timeout=5)
    assert ask().json()["RESULT"]["CODE"] == "INFO-300"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "collection.neis_emulator", "--schools", "30", "--seed", "7"]
    with subprocess.Popen(
        [*command, "--keys", "one,two", "--now", "2026-06-10T09:00"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as running:
        yield running
        running.kill()


def test_the_command_tells_its_address_and_stops_when_asked(
    process: subprocess.Popen[bytes],
) -> None:
    assert process.stdout is not None
    base_url = orjson.loads(process.stdout.readline())["base_url"]
    answer = requests.get(
        f"{base_url}/schoolInfo", params={"KEY": "two", "Type": "json"}, timeout=5
    )
    assert answer.json()["schoolInfo"][0]["head"][0]["list_total_count"] >= 30
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0
