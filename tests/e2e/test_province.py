"""The main job on real parts: a province with every fault, workers killed, Redis emptied."""

import signal
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from django.db import connection

from collection.models import FetchState, SchoolFetch, SchoolWeek, TimetableEntry
from collection.neis_emulator import Emulator, Fault, School, World, all_transient, running
from tests.e2e import stack as stacks
from tests.e2e import truth

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

FIRST = date(2026, 5, 18)
MONDAYS = [FIRST + timedelta(weeks=week) for week in range(3)]
OFFICES = ("I10", "T10")
FOR_EVER = {
    "http_500": "server_fault",
    "html": "malformed",
    "missing_rows": "incomplete",
    "reset": "connection_failed",
    "error_300": "bad_request",
}


def _export(stack: stacks.Stack) -> Path:
    path = stack.folder / "timetables.csv"
    stack.manage("export_timetables", "--from", str(FIRST), "--weeks", "3", "--output", str(path))
    return path


def test_export_equals_the_truth_when_every_fault_is_on(tmp_path: Path) -> None:
    world = World(11, schools=300, offices=OFFICES, dirty_rows=0.2)
    doomed = dict(zip(FOR_EVER, _publishing(world), strict=False))
    faults = [Fault(kind, schools=frozenset({s.school_code})) for kind, s in doomed.items()]
    emulator = Emulator(world, keys=(stacks.KEY,))
    with running(emulator), stacks.running(tmp_path, emulator.base_url) as stack:
        stack.manage("sync_schools")
        emulator.faults.switch([*faults, *all_transient(share=0.1)])
        stack.start_worker()
        first = stack.collect("--from", str(FIRST), "--weeks", "3", expect=3)
        stored = truth.of_file(_export(stack))
        again = stack.collect("--from", str(FIRST), "--weeks", "3", expect=3)

        healthy = [s for s in world.schools if s not in doomed.values()]
        expected = truth.of_schools(world, healthy, MONDAYS)
        assert (stored - expected, expected - stored) == ({}, {})
        _assert_only_the_doomed_failed(doomed)
        assert first["fetches"]["failed"] == len(doomed)
        assert first["retries"] > 0
        _assert_counts_add_up(first)
        assert (again["entries"]["stored"], again["entries"]["removed"]) == (0, 0)
        assert again["entries"]["unchanged"] == first["entries"]["stored"]
        assert _leaks(tmp_path) == []


def _publishing(world: World) -> Iterator[School]:
    """Elementary schools with rows: only of these can rows be missing."""
    for school in world.schools:
        lessons = [world.truth(school.office_code, school.school_code, m) for m in MONDAYS]
        if school.kind == "초등학교" and any(lessons):
            yield school


def _assert_only_the_doomed_failed(doomed: dict[str, School]) -> None:
    failed = SchoolFetch.objects.filter(state=FetchState.FAILED).order_by("id")
    classes = {fetch.school.code: fetch.error_class for fetch in failed.select_related("school")}
    assert classes == {school.school_code: FOR_EVER[kind] for kind, school in doomed.items()}
    assert not SchoolWeek.objects.filter(school__code__in=classes).exists()
    assert not TimetableEntry.objects.filter(school__code__in=classes).exists()


def _assert_counts_add_up(report: dict[str, dict[str, int]]) -> None:
    entries = report["entries"]
    parts = ("stored", "unchanged", "held", "duplicate", "rejected")
    assert entries["received"] == sum(entries[part] for part in parts)
    assert entries["rejected"] > 0
    assert entries["stored"] == TimetableEntry.objects.count()


def _leaks(folder: Path) -> list[str]:
    """Where a form of the key stands: logs, output, exports, and every table of the database."""
    forms = [stacks.KEY, quote(stacks.KEY), quote(stacks.KEY, safe=""), quote_plus(stacks.KEY)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" and path.stat().st_size for path in files)
    found = [str(path) for path in files if _holds(path.read_bytes(), forms)]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            with cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as copy:
                if any(_holds(bytes(block), forms) for block in copy):
                    found.append(table)
    return found


def _holds(data: bytes, forms: list[str]) -> bool:
    return any(form.encode() in data for form in forms)


def test_nothing_is_lost_when_a_worker_is_killed_and_redis_emptied(tmp_path: Path) -> None:
    world = World(12, schools=120, offices=("T10",))
    emulator = Emulator(world, keys=(stacks.KEY,))
    with running(emulator), stacks.running(tmp_path, emulator.base_url) as stack:
        stack.manage("sync_schools")
        # Slow enough that a kill meets fetches under way.
        emulator.faults.switch([Fault("latency", seconds=0.2)])
        victim = stack.start_worker("victim")
        following = stack.begin("collect", "--from", str(FIRST), "--weeks", "3", "--json")
        _wait_for_done(20)
        victim.kill()
        stack.start_worker("heir")
        _wait_for_done(50)
        stack.redis.flushall()
        out, err = following.communicate(timeout=120)

        assert following.returncode == 0, err
        assert stacks.report(out)["state"] == "completed"
        assert SchoolFetch.objects.filter(attempts__outcome="lost").exists()
        stored, expected = (
            truth.of_file(_export(stack)),
            truth.of_schools(world, world.schools, MONDAYS),
        )
        assert (stored - expected, expected - stored) == ({}, {})


def _wait_for_done(fetches: int) -> None:
    done = SchoolFetch.objects.filter(state__in=[FetchState.SUCCEEDED, FetchState.EMPTY])
    stacks.wait_until(lambda: done.count() >= fetches, seconds=60)


def test_following_stops_and_says_how_to_go_on_when_interrupted(tmp_path: Path) -> None:
    emulator = Emulator(World(13, schools=6, offices=("T10",)), keys=(stacks.KEY,))
    with running(emulator), stacks.running(tmp_path, emulator.base_url) as stack:
        stack.manage("sync_schools")
        following = stack.begin("collect", "--from", str(FIRST))
        stacks.wait_until(SchoolFetch.objects.exists)
        stacks.wait_until(lambda: SchoolFetch.objects.filter(published_at__isnull=False).exists())
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=20)

        run = SchoolFetch.objects.first().run_id  # type: ignore[union-attr]
        assert following.returncode == 130
        assert f"collect --follow {run}" in err
        stack.start_worker()
        assert stack.collect("--follow", str(run))["state"] == "completed"


def test_collect_refuses_to_start_when_there_is_no_key(tmp_path: Path) -> None:
    with stacks.running(tmp_path, "http://127.0.0.1:9/hub", NEIS_API_KEYS="") as stack:
        stack.manage("collect", expect=2)
        stack.manage("sync_schools", expect=2)
    assert "NEIS_API_KEYS" in (tmp_path / "commands.log").read_text()


def test_the_run_pauses_when_every_key_is_spent_and_goes_on_the_next_day(tmp_path: Path) -> None:
    emulator = Emulator(World(14, schools=12, offices=("T10",)), keys=(stacks.KEY,), daily_limit=9)
    with running(emulator), stacks.running(tmp_path, emulator.base_url) as stack:
        stack.manage("sync_schools")
        stack.start_worker()
        following = stack.begin("collect", "--from", str(FIRST), "--weeks", "3", "--json")
        stacks.wait_until(lambda: _run_state() == ("paused", "quota"))
        under_way = SchoolFetch.objects.filter(state=FetchState.RUNNING)
        stacks.wait_until(lambda: not under_way.exists())
        asked = emulator.journal.summary()["requests"]
        emulator.desk.daily_limit = None
        _let_midnight_pass()
        out, err = following.communicate(timeout=60)

        assert following.returncode == 0, err
        assert stacks.report(out)["fetches"].get("failed") is None
        # The limit itself, and what was in flight when it was met.
        assert asked <= 9 + 1 + 8


def _run_state() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, pause_reason FROM collection_run")
        row = cursor.fetchone()
    return (row[0], row[1]) if row else ("", "")


def _let_midnight_pass() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE collection_run SET paused_until = now()")
        cursor.execute("UPDATE collection_apikeystate SET spent_until = now()")
