"""Workers and schedulers on hosts of their own: one is cut off, and their clocks disagree."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from collection.neis_emulator import Emulator, Fault, World, running
from config import embedded
from tests.e2e import clocks, lab, rabbitmq, truth
from tests.e2e import stack as stacks

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

FIRST = date(2026, 5, 18)
MONDAYS = [FIRST + timedelta(weeks=week) for week in range(3)]
WINDOW = ("--from", str(FIRST), "--weeks", "3")
REQUESTS_PER_SECOND = 5
AT_WORK = "This scheduler is at work."


@dataclass(frozen=True)
class Machines:
    """One holds PostgreSQL and the broker; two work, of which one will be cut off."""

    postgres: embedded.Postgres
    staying: stacks.Stack
    leaving: stacks.Stack
    leaving_host: lab.Host

    def ask(self, question: str) -> list[Any]:
        """By the server's socket, from outside of the network."""
        with psycopg.connect(host=str(self.postgres.run), user="neis", dbname="neis") as database:
            return database.execute(question).fetchall()


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_nothing_is_lost_when_a_host_is_cut_off_and_clocks_are_two_hours_apart(
    tmp_path: Path, broker: str
) -> None:
    world = World(17, schools=70, offices=("T10",))
    emulator = Emulator(world, keys=(stacks.KEY,))
    with _machines(tmp_path, emulator, broker) as machines:
        staying, leaving = machines.staying, machines.leaving
        staying.manage("migrate")
        staying.manage("sync_schools")
        emulator.journal.clear()
        emulator.faults.switch([Fault("http_500", share=0.05), Fault("latency", seconds=0.2)])
        leaving.start_scheduler()
        stacks.wait_until(lambda: AT_WORK in leaving.log("beat"), seconds=180)
        staying.start_scheduler()
        leaving.start_worker("leaving", threads=4)
        worker = staying.start_worker("staying", threads=4)
        following = staying.begin("collect", *WINDOW, "--json")
        stacks.wait_until(lambda: _both_work(machines), seconds=240)

        machines.leaving_host.cut_off()
        stacks.wait_until(lambda: AT_WORK in staying.log("beat"), seconds=240)
        machines.leaving_host.join()
        out, err = following.communicate(timeout=600)
        assert following.returncode == 0, err
        assert stacks.report(out)["state"] == "completed"
        assert machines.ask("SELECT FROM collection_attempt WHERE outcome = 'lost'")
        stored, expected = _stored(staying), truth.of_schools(world, world.schools, MONDAYS)
        assert (stored - expected, expected - stored) == ({}, {})

        worker.terminate()
        worker.wait(timeout=180)
        assert staying.collect(*WINDOW, "--level", "high")["state"] == "completed"
        assert _most_requests(emulator, seconds=1) <= 2 * REQUESTS_PER_SECOND
        assert _most_requests(emulator, seconds=10) <= 11 * REQUESTS_PER_SECOND


@contextmanager
def _machines(folder: Path, emulator: Emulator, broker: str) -> Iterator[Machines]:
    with ExitStack() as parts:
        neis, data, staying, leaving = parts.enter_context(
            lab.hosts("neis", "data", "staying", "leaving")
        )
        emulator.host = neis.address
        with neis.inside():
            parts.enter_context(running(emulator))
        with data.inside():
            postgres = _postgres(folder / "postgres", data, parts)
            _redis(folder / "redis", data, parts)
            broker_url = _broker(broker, folder / "rabbitmq", data, parts)
        addresses = {
            "DATABASE_URL": f"postgres://neis@{data.address}:5432/neis",
            "REDIS_URL": f"redis://{data.address}:6379/0",
            "CELERY_BROKER_URL": broker_url,
            "NEIS_REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND),
            "NEIS_TIMEOUT_SECONDS": "5",
            "FETCH_DEADLINE_SECONDS": "14",
            "FETCH_LEASE_SECONDS": "15",
        }
        stacks_of = [
            parts.enter_context(
                _stack(folder, emulator, host, {**addresses, **clocks.moved(hours, folder)})
            )
            for host, hours in ((staying, -1), (leaving, 1))
        ]
        yield Machines(postgres, *stacks_of, leaving)


def _postgres(folder: Path, host: lab.Host, parts: ExitStack) -> embedded.Postgres:
    server = embedded.Postgres(folder, listen_addresses=host.address)
    server.start()
    with (server.data / "pg_hba.conf").open("a") as access:
        access.write("host all all samenet trust\n")
    server.stop()
    server.start()
    parts.callback(_stop, server, host)
    return server


def _redis(folder: Path, host: lab.Host, parts: ExitStack) -> None:
    server = embedded.Redis(
        folder, appendonly="no", port="6379", bind=host.address, protected_mode="no"
    )
    server.start()
    parts.callback(_stop, server, host)


def _stop(server: embedded.Server, host: lab.Host) -> None:
    with host.inside():
        server.stop()


def _broker(kind: str, folder: Path, host: lab.Host, parts: ExitStack) -> str:
    if kind == "redis":
        return ""
    return parts.enter_context(rabbitmq.running(folder, address=host.address))


@contextmanager
def _stack(
    folder: Path, emulator: Emulator, host: lab.Host, settings: dict[str, str]
) -> Iterator[stacks.Stack]:
    stack = stacks.Stack(folder / host.name, emulator.base_url, settings, on_host=host.inside)
    stack.folder.mkdir()
    try:
        yield stack
    finally:
        stack.stop()


def _both_work(machines: Machines) -> bool:
    done = machines.ask(
        "SELECT worker, count(*) FROM collection_attempt GROUP BY worker HAVING count(*) >= 3"
    )
    return len(done) == 2


def _stored(stack: stacks.Stack) -> Counter[truth.Line]:
    path = stack.folder / "timetables.csv"
    stack.manage("export_timetables", *WINDOW, "--output", str(path))
    return truth.of_file(path)


def _most_requests(emulator: Emulator, *, seconds: float) -> int:
    """In any span of that length, by the one clock of NEIS."""
    moments = sorted(entry["at"] for entry in emulator.journal.entries())
    first = 0
    most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
