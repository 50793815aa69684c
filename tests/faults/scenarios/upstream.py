"""NEIS: slow, broken, throttling, out of quota, contradicting itself (F23 to F33)."""

import time
from pathlib import Path

from collection.neis_emulator import Fault
from tests.faults.rig import DEADLINE, PATIENCE, Process, Rig
from tests.faults.scenarios import scenario


def only(kind: str, *schools: str, first: int | None = None, seconds: float = 0) -> Fault:
    return Fault(kind, schools=frozenset(schools), first=first, seconds=seconds)


def errors(rig: Rig, run: int) -> dict[str, str]:
    """School to the class of the error that its fetch ended with."""
    return dict(
        rig.database.rows(
            "SELECT school.code, item.error_class FROM collection_schoolfetch AS item"
            "  JOIN collection_school AS school ON school.id = item.school_id"
            " WHERE run_id = %s AND item.state = 'failed'",
            run,
        )
    )


def paused(rig: Rig, run: int, reason: str) -> bool:
    query = "SELECT state, pause_reason FROM collection_run WHERE id = %s"
    return rig.database.rows(query, run) == [("paused", reason)]


def wait_for_pause(rig: Rig, run: int, reason: str) -> None:
    rig.wait_until(lambda: rig.state(run) != "running", 180)
    assert paused(rig, run, reason), f"The run is {rig.state(run)}, not paused for {reason}."


def failures(rig: Rig) -> int:
    counted: int = rig.database.value(
        "SELECT COALESCE(sum(failures), 0) FROM collection_schoolfetch"
    )
    return counted


@scenario(
    "F23",
    inject="NEIS answers 503 to everything for 60 s",
    expect="Within 50 answers the requests stop but for probes; it goes on by itself; no fetch "
    "fails",
    settings={"FETCH_MAX_FAILURES": "5"},
)
def outage(rig: Rig) -> None:
    rig.slow(0.3)
    rig.workers()
    rig.pump()
    run = rig.start_run()
    rig.wait_for_done(len(rig.world.schools) // 8)
    before = rig.requests()
    rig.injected.note("NEIS out of order")
    rig.emulator.faults.switch([Fault("http_503")])
    seconds = 60 if rig.full else 15
    time.sleep(seconds)
    probes = seconds / 5
    rig.bound("requests meanwhile", rig.requests() - before, 50 + 2 * rig.threads + probes)
    rig.right()
    rig.wait_for_end(run)


@scenario(
    "F24",
    inject="NEIS answers 429 with Retry-After: 20 for a second",
    expect="No worker asks for 20 s; nothing is charged to a fetch",
)
def throttled(rig: Rig) -> None:
    rig.slow(0.3)
    rig.workers()
    rig.pump()
    run = rig.start_run()
    rig.wait_for_done(len(rig.world.schools) // 8)
    rig.injected.note("throttled")
    rig.emulator.faults.switch([Fault("http_429", seconds=20)])
    rig.wait_until(lambda: "http_429" in _outcomes(rig), 30)
    first = time.monotonic()
    time.sleep(1)
    rig.right()
    # Those under way when the answer came have been answered by now.
    asked = rig.requests()
    time.sleep(max(0.0, 19 - (time.monotonic() - first)))
    rig.bound("requests before the time was over", rig.requests() - asked, 0)
    rig.bound("attempts charged", failures(rig), 0)
    rig.wait_for_end(run)


def _outcomes(rig: Rig) -> dict[str, int]:
    told: dict[str, int] = rig.emulator.journal.summary()["by_outcome"]
    return told


@scenario(
    "F25",
    inject="The daily limit of the key is spent after 500 requests",
    expect="The run pauses for its quota, costs no fetch an attempt, and goes on at midnight",
    schools=700,
)
def spent_quota(rig: Rig) -> None:
    limit = 500 if rig.full else 20
    rig.emulator.desk.daily_limit = limit
    rig.emulator.desk.forget_calls()
    rig.slow(0.1)
    workers = rig.workers()
    rig.pump()
    run = rig.start_run()
    wait_for_pause(rig, run, "quota")
    rig.injected.note("quota spent")
    rig.wait_until(lambda: rig.count("running") == 0, 60)
    asked = rig.requests()
    time.sleep(5)
    rig.bound("requests past the limit", asked - limit, len(workers) * rig.threads)
    rig.bound("requests while paused", rig.requests() - asked, 0)
    rig.bound("attempts charged", failures(rig), 0)
    rig.emulator.desk.daily_limit = None
    _let_midnight_pass(rig)
    rig.wait_for_end(run)


def _let_midnight_pass(rig: Rig) -> None:
    rig.database.rows("UPDATE collection_run SET paused_until = now()")
    rig.database.rows("UPDATE collection_apikeystate SET spent_until = now()")


@scenario(
    "F26",
    inject="The key is revoked in the middle of a run (ERROR-290), then blocked (INFO-300)",
    expect="The run pauses, what is stored stays, a good key and a resume end it",
)
def revoked_key(rig: Rig) -> None:
    rig.workers()
    rig.pump()
    rig.collect()
    rig.slow(0.2)
    for refuse in ("revoked", "blocked") if rig.full else ("revoked",):
        rig.world.revision += 1
        before = rig.done()
        run = rig.start_run()
        rig.wait_for_done(before + 10)
        rig.injected.note(f"key {refuse}")
        setattr(rig.emulator.desk, refuse, {0})
        wait_for_pause(rig, run, "keys")
        rig.wait_until(lambda: rig.count("running") == 0, 60)
        asked = rig.requests()
        time.sleep(4)
        rig.bound(f"{refuse}: requests while paused", rig.requests() - asked, 0)
        rig.bound(f"{refuse}: attempts charged", failures(rig), 0)
        setattr(rig.emulator.desk, refuse, set())
        rig.order("runs", "resume", str(run))
        rig.wait_for_end(run)


@scenario(
    "F27",
    inject="No key is configured: where a run starts, and with the workers alone",
    expect="No run starts; each fetch fails, nothing is replaced, at most two requests each",
    quick_schools=20,
)
def no_key(rig: Rig) -> None:
    first = rig.workers(1, name="first")[0]
    rig.pump()
    rig.collect()
    rig.end(first)
    runs = "SELECT count(*) FROM collection_run"
    before = rig.database.value(runs)
    key = rig.stack.settings["NEIS_API_KEYS"]
    rig.stack.settings["NEIS_API_KEYS"] = ""
    rig.stack.manage("collect", expect=2)
    rig.bound("runs started without a key", rig.database.value(runs) - before, 0)
    rig.workers(name="keyless", NEIS_API_KEYS="")
    rig.stack.settings["NEIS_API_KEYS"] = key
    rig.emulator.journal.clear()
    rig.injected.note("no key")
    rig.world.revision = 1
    everybody = {school.school_code: 0 for school in rig.world.schools}
    rig.expectation.failed |= everybody.keys()
    rig.expectation.revisions |= everybody
    run = rig.start_run()
    rig.wait_until(lambda: rig.state(run) != "running", PATIENCE)
    rig.bound("fetches that did not fail", len(everybody) - len(errors(rig, run)), 0)
    rig.bound("requests", rig.requests(), 2 * len(everybody))


@scenario(
    "F28",
    inject="An answer or its head comes at one byte a second, hangs after its headers, has 200 MB, "
    "is a gzip bomb",
    expect="Cut at the deadline or the size; the thread is free; under 50 MB more; tried again",
    quick_schools=30,
)
def endless_answers(rig: Rig) -> None:
    (worker,) = rig.workers(1)
    rig.pump()
    rig.collect()
    calm = _peak_megabytes(worker)
    kinds = ("drip", "drip_head", "hang", "huge", "gzip_bomb")
    victims = dict(zip(kinds, rig.choose(len(kinds)), strict=True))
    rig.emulator.faults.switch([only(kind, code, first=1) for kind, code in victims.items()])
    for kind in kinds:
        rig.injected.note(kind)
    rig.world.revision = 1
    rig.collect()
    rig.bound("MB more", _peak_megabytes(worker) - calm, 50)
    longest = rig.database.value(
        "SELECT extract(epoch FROM max(finished_at - started_at)) FROM collection_attempt"
    )
    rig.bound("longest attempt s", float(longest), DEADLINE + 2)
    kept = rig.database.value(
        "SELECT count(DISTINCT fetch_id) FROM collection_attempt WHERE outcome = 'failed'"
    )
    rig.bound("victims that were not tried again", len(kinds) - kept, 0)


def _peak_megabytes(process: Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000


@scenario(
    "F29",
    inject="Cut JSON, HTML with status 200, a wrong root, a missing field, NaN, doubled keys, "
    "an error in the head",
    expect="No row is replaced; the reason is kept with a sample that holds no key",
    quick_schools=30,
    schools=150,
    settings={"FETCH_MAX_FAILURES": "3"},
    short=True,
)
def broken_answers(rig: Rig) -> None:
    rig.workers()
    rig.pump()
    rig.collect()
    kinds = {
        "truncated_json": "malformed", "html": "malformed", "wrong_root": "malformed",
        "missing_field": "malformed", "nan": "malformed", "bad_utf8": "malformed",
        "duplicate_keys": "incomplete", "error_in_head": "server_fault",
    }  # fmt: skip
    victims = dict(zip(kinds, rig.choose(len(kinds)), strict=True))
    rig.emulator.faults.switch([only(kind, code) for kind, code in victims.items()])
    for kind, code in victims.items():
        rig.injected.note(kind)
        rig.expectation.failed.add(code)
        rig.expectation.revisions[code] = 0
    rig.world.revision = 1
    told = errors(rig, rig.collect())
    wrong = {
        kind: told.get(code) for kind, code in victims.items() if told.get(code) != kinds[kind]
    }
    rig.notes.append(f"other classes than expected: {wrong}" if wrong else "all classes right")
    rig.bound("wrong classes", len(wrong), 0)
    samples = rig.database.value(
        "SELECT count(*) FROM collection_schoolfetch"
        " WHERE error_class = 'malformed' AND error_message LIKE '%It begins: _%'"
    )
    rig.bound("malformed without a sample", 6 - samples, 0)


@scenario(
    "F30",
    inject="The total moves between pages, a page repeats another, the total is too large, rows "
    "are missing: once, and for ever",
    expect="Once: asked again, then right. For ever: incomplete, the old week stays",
    schools=150,
    weeks=2,
    settings={"FETCH_MAX_FAILURES": "5"},
)
def contradicting_pages(rig: Rig) -> None:
    rig.workers()
    rig.pump()
    rig.collect()
    kinds = ("moving_total", "repeated_page", "total_too_large", "missing_rows")
    paged = _schools_of_two_pages(rig)
    rig.random.shuffle(paged)
    once, for_ever = paged[: len(kinds)], paged[len(kinds) : 2 * len(kinds)]
    rig.emulator.faults.switch(
        [
            *(only(kind, code, first=1) for kind, code in zip(kinds, once, strict=True)),
            *(only(kind, code) for kind, code in zip(kinds, for_ever, strict=True)),
        ]
    )
    for kind in kinds * 2:
        rig.injected.note(kind)
    rig.expectation.failed |= set(for_ever)
    rig.expectation.revisions |= dict.fromkeys(for_ever, 0)
    rig.world.revision = 1
    told = errors(rig, rig.collect())
    rig.bound("not incomplete", told != dict.fromkeys(for_ever, "incomplete"), 0)


def _schools_of_two_pages(rig: Rig) -> list[str]:
    return [
        school.school_code
        for school in rig.world.schools
        if sum(
            len(rig.world.raw_rows(school.office_code, school.school_code, monday))
            for monday in rig.mondays
        )
        > 1100
    ]


@scenario(
    "F31",
    inject="Rows that are there twice in the source",
    expect="Stored once; received, duplicate and stored add up to what was sent",
    quick_schools=30,
    world={"dirty_rows": 0.2},
    short=True,
)
def doubled_rows(rig: Rig) -> None:
    rig.workers(1)
    rig.pump()
    rig.collect()
    sent = {
        school.school_code: sum(
            len(rig.world.raw_rows(school.office_code, school.school_code, monday))
            for monday in rig.mondays
        )
        for school in rig.world.schools
    }
    rows = rig.database.rows(
        "SELECT school.code, received, duplicate, rejected, stored"
        "  FROM collection_schoolfetch AS item"
        "  JOIN collection_school AS school ON school.id = item.school_id"
    )
    wrong = [code for code, received, *_ in rows if received != sent[code]]
    wrong += [code for code, received, *parts in rows if received != sum(parts)]
    doubles = sum(duplicate for _, _, duplicate, _, _ in rows)
    for _ in range(doubles):
        rig.injected.note("doubled row")
    rig.bound("schools whose counts are wrong", len(wrong), 0)
    rig.bound("no doubled rows", -doubles, -1)


@scenario(
    "F32",
    inject="A stored week is answered with “no data”, once; another again and again",
    expect="The old rows stay until a second answer agrees; rows that come back are stored",
)
def emptied_weeks(rig: Rig) -> None:
    rig.workers()
    rig.pump()
    rig.collect()
    back, gone = rig.choose(2)
    rig.emulator.faults.switch([only("emptied", back, first=1), only("emptied", gone)])
    rig.injected.note("emptied")
    rig.injected.note("emptied")
    run = rig.start_run()
    held = "SELECT count(*) FROM collection_heldweek WHERE state = 'waiting'"
    rig.wait_until(lambda: rig.database.value(held) > 0 or rig.state(run) != "running", 120)
    rig.judge_stored("after the first empty answer")
    rig.wait_for_end(run)
    rig.expectation.revisions[gone] = None
    rig.bound("held weeks left", rig.database.value(held), 0)


@scenario(
    "F33",
    inject="30 % of the schools are answered with “no data” at once, twice; the school list has a "
    "twelfth of its schools",
    expect="The run pauses and nothing stored changes. Rejected: unchanged. Accepted: emptied. The "
    "list is refused, no school is closed",
    settings={"GUARD_FROM_SCHOOLS": "5"},
)
def mass_emptying(rig: Rig) -> None:
    rig.workers()
    rig.pump()
    rig.collect()
    victims = rig.choose(len(rig.world.schools) * 3 // 10)
    for answer in ("reject_held", "accept_held"):
        rig.emulator.faults.switch([only("emptied", *victims)])
        rig.injected.note("30 % emptied")
        run = rig.start_run()
        wait_for_pause(rig, run, "guard")
        rig.wait_until(lambda: rig.count("running") == 0, 60)
        rig.judge_stored(f"before {answer}")
        decided = rig.order(answer, str(run))["made"]
        rig.notes.append(f"{answer}: {decided} weeks")
        if answer == "accept_held":
            rig.wait_until(lambda: not rig.database.value(_BEING_ACCEPTED), 60)
            emptied = rig.database.rows(_EMPTIED)
            rig.expectation.revisions |= {code: None for (code,) in emptied}
            rig.bound("accepted and not emptied", decided - len(emptied), 0)
            rig.order("runs", "cancel", str(run))
        else:
            rig.right()
            rig.order("runs", "resume", str(run))
            rig.wait_for_end(run)
        rig.judge_stored(f"after {answer}")
    rig.injected.note("list cut")
    rig.world.list_fraction = 1 / 12
    rig.order("sync_schools", expect=3)
    rig.world.list_fraction = 1.0
    closed = (
        "SELECT count(*) FROM collection_school WHERE closed_at IS NOT NULL OR missed_lists > 0"
    )
    rig.bound("schools closed or counted as missing", rig.database.value(closed), 0)


_BEING_ACCEPTED = """
SELECT count(*) FROM collection_heldweek WHERE state = 'waiting' AND decided_at IS NOT NULL
"""
_EMPTIED = """
SELECT school.code FROM collection_heldweek AS held
  JOIN collection_school AS school ON school.id = held.school_id
 WHERE held.state = 'accepted'
"""
