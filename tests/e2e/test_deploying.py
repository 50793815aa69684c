"""What docs/deploy.md promises of upgrades, backups and restores."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from collection.neis_emulator import Emulator, Fault, World, running
from config import embedded
from config.embedded.postgres import binary
from tests.e2e import stack as stacks
from tests.e2e import truth

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

FIRST = date(2026, 5, 18)
MONDAYS = [FIRST + timedelta(weeks=week) for week in range(3)]
WINDOW = ("--from", str(FIRST), "--weeks", "3")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running(Emulator(World(18, schools=30, offices=("T10",)), keys=(stacks.KEY,))) as emulator:
        yield emulator


def test_run_goes_on_when_everything_is_stopped_for_an_upgrade(
    tmp_path: Path, emulator: Emulator
) -> None:
    with _postgres(tmp_path / "postgres") as server:
        with _stack(tmp_path / "old", emulator, _url(server)) as old:
            _install(old)
            run = _begin_a_run(old, server, emulator)
        with _stack(tmp_path / "new", emulator, _url(server)) as new:
            new.manage("migrate")
            _finish(new, run)
            _assert_equals_truth(new, emulator)
        assert _ask(server, "SELECT FROM collection_attempt WHERE outcome = 'lost'") == []


def test_run_goes_on_in_another_database_when_a_dump_from_its_middle_is_restored(
    tmp_path: Path, emulator: Emulator
) -> None:
    dump = str(tmp_path / "neis.dump")
    with _postgres(tmp_path / "postgres") as server:
        restored = _url(server, "restored")
        with _stack(tmp_path / "old", emulator, _url(server)) as old:
            _install(old)
            run = _begin_a_run(old, server, emulator)
            _pg("pg_dump", "--format=custom", f"--file={dump}", _url(server))
        _pg("createdb", f"--maintenance-db={_url(server)}", "restored")
        _pg("pg_restore", "--no-owner", "--jobs=2", f"--dbname={restored}", dump)
        with _stack(tmp_path / "new", emulator, restored) as new:
            _finish(new, run)
            _assert_equals_truth(new, emulator)


def test_database_is_as_it_was_when_recovered_to_a_moment_between_two_runs(
    tmp_path: Path, emulator: Emulator
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    copied = {
        "archive_mode": "on",
        "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f",
    }
    recovered = tmp_path / "recovered"
    recovered.mkdir(mode=0o700)
    with _postgres(tmp_path / "postgres", **copied) as server:
        with _stack(tmp_path / "old", emulator, _url(server)) as stack:
            _install(stack)
            _pg("pg_basebackup", f"--dbname={_url(server, role='postgres')}",
                f"--pgdata={recovered / 'data'}")  # fmt: skip
            stack.start_worker()
            stack.collect(*WINDOW)
            moment = _ask(server, "SELECT now()")[0][0]
            before = _stored(stack)
            emulator.world.revision += 1
            stack.collect(*WINDOW)
            assert _stored(stack) != before
        _ask(server, "SELECT pg_switch_wal()", role="postgres")
    (recovered / "data" / "recovery.signal").touch()
    back_to = {
        "restore_command": f"cp {archive}/%f %p",
        "recovery_target_time": moment.isoformat(),
        "recovery_target_action": "promote",
    }
    with (
        _postgres(recovered, **back_to) as server,
        _stack(tmp_path / "new", emulator, _url(server)) as stack,
    ):
        assert _stored(stack) == before
        stack.start_worker()
        assert stack.collect(*WINDOW)["state"] == "completed"
        _assert_equals_truth(stack, emulator)


@contextmanager
def _postgres(folder: Path, **options: str) -> Iterator[embedded.Postgres]:
    server = embedded.Postgres(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _stack(folder: Path, emulator: Emulator, database_url: str) -> Iterator[stacks.Stack]:
    """Ended as systemd does it, with SIGTERM; its Redis begins empty."""
    folder.mkdir()
    with stacks.running(folder, emulator.base_url, DATABASE_URL=database_url) as stack:
        yield stack


def _install(stack: stacks.Stack) -> None:
    stack.manage("migrate")
    stack.manage("sync_schools")


def _begin_a_run(stack: stacks.Stack, server: embedded.Postgres, emulator: Emulator) -> int:
    """The run's number, when it is in its middle."""
    emulator.faults.switch([Fault("latency", seconds=0.3)])
    stack.start_worker()
    stack.start_scheduler()
    stack.begin("collect", *WINDOW)
    done = "SELECT run_id FROM collection_schoolfetch WHERE state IN ('succeeded', 'empty')"
    stacks.wait_until(lambda: len(_ask(server, done)) >= 6, seconds=240)
    return int(_ask(server, done)[0][0])


def _finish(stack: stacks.Stack, run: int) -> None:
    stack.start_worker()
    stack.start_scheduler()
    report = stacks.report(stack.manage("collect", "--follow", str(run), "--json", timeout=300))
    assert (report["state"], report["fetches"].get("failed", 0)) == ("completed", 0)


def _assert_equals_truth(stack: stacks.Stack, emulator: Emulator) -> None:
    stored = _stored(stack)
    expected = truth.of_schools(emulator.world, emulator.world.schools, MONDAYS)
    assert (stored - expected, expected - stored) == ({}, {})


def _stored(stack: stacks.Stack) -> truth.Counter[truth.Line]:
    path = stack.folder / "timetables.csv"
    stack.manage("export_timetables", *WINDOW, "--output", str(path))
    return truth.of_file(path)


def _url(server: embedded.Postgres, database: str = "neis", *, role: str = "neis") -> str:
    return f"postgres://{role}@{quote(str(server.run), safe='')}:5432/{database}"


def _ask(server: embedded.Postgres, question: str, *, role: str = "neis") -> list[Any]:
    with psycopg.connect(_url(server, role=role)) as database:
        return database.execute(question).fetchall()


def _pg(program: str, *arguments: str) -> None:
    """Of the server's own version: an older pg_dump refuses."""
    done = subprocess.run([binary(program), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
