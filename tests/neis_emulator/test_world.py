"""The universe behind the emulator: same bytes everywhere, and as messy as the real one."""

import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from collection.neis_emulator import Clock, School, World
from collection.neis_emulator.offices import NATION
from collection.neis_emulator.world import Row

ROOT = Path(__file__).parents[2]
MONDAY = date(2026, 6, 8)

DIGEST = """
from datetime import date
from hashlib import sha256
from collection.neis_emulator import World
w = World(5, schools=20, dirty_rows=1.0)
d = sha256(b"".join(l.wire for l in w.listing()))
for s in w.schools:
    d.update(b"".join(w.timetable(s, date(2026, 6, 8), date(2026, 6, 14))))
print(d.hexdigest())
"""


@pytest.fixture(scope="module")
def nation() -> World:
    return World.nation(1, late_publishers=False)


def sample_rows(world: World, level: str, schools: int) -> list[list[Row]]:
    of_level = [s for s in world.schools if s.level == level]
    chosen = Random(3).sample(of_level, min(schools, len(of_level)))
    return [world.raw_rows(s.office_code, s.school_code, MONDAY) for s in chosen]


def week(world: World, school: School, monday: date = MONDAY) -> list[Row]:
    return world.raw_rows(school.office_code, school.school_code, monday)


def test_bytes_are_equal_when_another_process_renders_them() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_bytes_differ_when_the_seed_differs() -> None:
    listings = [World(seed, schools=20).listing() for seed in (1, 2)]
    assert sha256(listings[0][0].wire).digest() != sha256(listings[1][0].wire).digest()


def test_nation_has_its_schools_in_proportion(nation: World) -> None:
    kinds = Counter(school.kind for school in nation.schools)
    assert len(nation.schools) == NATION == 12_590
    assert len({(s.office_code, s.school_code) for s in nation.schools}) == NATION
    assert len({s.office_code for s in nation.schools}) == 18
    usual = {"초등학교": 6380, "중학교": 3313, "고등학교": 2395, "특수학교": 199}
    assert {kind: kinds[kind] for kind in usual} == usual


def test_nation_list_is_as_dirty_as_the_real_one(nation: World) -> None:
    rows = [listing.fields for listing in nation.listing()]
    codes = Counter(row["SD_SCHUL_CODE"] for row in rows)
    assert codes.pop(" " * 7) == 25
    assert sum(n == 2 for n in codes.values()) == 2
    assert any(str(code).startswith("C0") for code in codes)
    assert {"-", "0"} <= {row["ORG_TELNO"] for row in rows}
    assert any("\ufeff" in str(row["SCHUL_NM"]) for row in rows)
    assert any("\u00a0" in str(row["SCHUL_NM"]) for row in rows)
    assert any(str(row["ORG_RDNZC"]).endswith(" ") for row in rows)


@pytest.mark.parametrize(
    ("kind", "services"),
    [
        ("각종학교(중)", {"misTimetable", "elsTimetable"}),
        ("방송통신중학교", {"misTimetable"}),
        ("평생학교(중)", {"misTimetable"}),
        ("평생학교(초)", {"elsTimetable"}),
        ("각종학교(고)", {"hisTimetable"}),
    ],
)
def test_kind_does_not_tell_the_service(nation: World, kind: str, services: set[str]) -> None:
    assert {s.service for s in nation.schools if s.kind == kind} == services


def test_three_weeks_of_the_nation_are_about_twenty_million_rows(nation: World) -> None:
    expected = 0.0
    for level, schools in Counter(s.level for s in nation.schools).items():
        weeks = sample_rows(nation, level, 60)
        expected += 3 * schools * sum(map(len, weeks)) / len(weeks)
    assert 16_000_000 < expected < 24_000_000


def test_duplicates_are_three_in_a_hundred(nation: World) -> None:
    rows = [row for rows in sample_rows(nation, "middle", 100) for row in rows]
    distinct = {tuple(row.items()) for row in rows}
    assert 0.025 < 1 - len(distinct) / len(rows) < 0.04


def test_classes_are_null_on_the_electives_of_high_schools(nation: World) -> None:
    weeks = [rows for rows in sample_rows(nation, "high", 200) if rows]
    nulls = [sum(row["CLASS_NM"] is None for row in rows) for rows in weeks]
    assert 0.05 < sum(nulls) / sum(map(len, weeks)) < 0.15
    assert 0.45 < sum(map(bool, nulls)) / len(weeks) < 0.7
    elective = next(r for rows in weeks for r in rows if r["CLASS_NM"] is None and r["CLRM_NM"])
    assert elective["GRADE"]
    assert elective["PERIO"]


def test_grade_and_class_repeat_when_departments_number_their_own(nation: World) -> None:
    vocational = [s for s in nation.schools if s.stream == "vocational"][:30]
    departments: dict[tuple[str, ...], set[str | None]] = {}
    for school in vocational:
        for row in week(nation, school):
            place = (school.school_code, str(row["GRADE"]), str(row["CLASS_NM"]))
            departments.setdefault(place, set()).add(row["DDDEP_NM"])
    assert max(map(len, departments.values())) > 1


def test_grades_begin_anew_in_each_course_of_a_special_school(nation: World) -> None:
    rows = next(rows for rows in sample_rows(nation, "special", 20) if rows)
    first_grades = {row["SCHUL_CRSE_SC_NM"] for row in rows if row["GRADE"] == "1"}
    assert len(first_grades) > 1


def test_subjects_carry_marks_and_cells_hold_several(nation: World) -> None:
    rows = [row for rows in sample_rows(nation, "high", 60) for row in rows]
    subjects = [str(row["ITRT_CNTNT"]) for row in rows]
    assert all(any(s.startswith(mark) for s in subjects) for mark in ("[보강]", "* ", "-", "[기]"))
    assert {int(str(row["PERIO"])) for row in rows} <= set(range(1, 12))


def test_three_weeks_exceed_a_page_when_a_school_is_large(nation: World) -> None:
    counts = [3 * len(rows) for rows in sample_rows(nation, "high", 60)]
    assert max(counts) > 3300
    assert min(n for n in counts if n) < 1000


def test_truth_is_the_raw_rows_once_each() -> None:
    world = World(7, late_publishers=False)
    for school in world.schools[:40]:
        raw = week(world, school)
        truth = world.truth(school.office_code, school.school_code, MONDAY)
        without = [tuple(v for k, v in r.items() if k != "LOAD_DTM") for r in truth]
        assert len(set(without)) == len(without)
        assert set(without) == {tuple(v for k, v in r.items() if k != "LOAD_DTM") for r in raw}
        latest = {r["LOAD_DTM"] for r in truth}
        assert max(str(r["LOAD_DTM"]) for r in raw) in latest if raw else not latest


def test_unreadable_rows_are_served_and_kept_out_of_the_truth() -> None:
    world = World(7, schools=40, late_publishers=False, dirty_rows=1.0)
    kinds: set[str] = set()
    for school in world.schools:
        office, code = school.office_code, school.school_code
        raw, truth = week(world, school), world.truth(office, code, MONDAY)
        for odd in world.rejected(office, code, MONDAY):
            kinds.add(odd.kind)
            assert odd.row in raw
            assert odd.row not in truth
    assert kinds == {"impossible_date", "grade", "period_zero", "period_99", "period_null"}


def test_odd_but_readable_subjects_are_in_the_truth() -> None:
    world = World(7, schools=40, late_publishers=False, dirty_rows=1.0)
    subjects = [
        str(row["ITRT_CNTNT"])
        for school in world.schools
        for row in world.truth(school.office_code, school.school_code, MONDAY)
    ]
    assert max(map(len, subjects)) == 5000
    for sign in ("\x00", "\t", "\n", '"', "\\", "🎵"):
        assert any(sign in subject for subject in subjects)


def test_a_revision_rewrites_some_37_cells() -> None:
    before, after = (World(7, late_publishers=False, revision=r) for r in (0, 1))
    large = [s for s in before.schools if s.level == "high"][:10]
    for school in large:
        rows = [
            {tuple(r.items()) for r in w.truth(school.office_code, school.school_code, MONDAY)}
            for w in (before, after)
        ]
        assert 20 <= len(rows[1] - rows[0]) <= 45


def test_only_load_dates_move_when_a_night_passes() -> None:
    world = World(7, late_publishers=False, clock=Clock(datetime(2026, 6, 9, 12)))
    school = world.schools[0]
    before = week(world, school)
    world.clock.advance(timedelta(days=1))
    after = week(world, school)
    assert [{**r, "LOAD_DTM": ""} for r in before] == [{**r, "LOAD_DTM": ""} for r in after]
    assert all(a["LOAD_DTM"] != b["LOAD_DTM"] for a, b in zip(after, before, strict=True))
    world.clock.advance(timedelta(days=60))
    assert max(str(r["LOAD_DTM"]) for r in week(world, school)) == "20260614"


def test_no_rows_in_a_vacation_unless_there_is_none() -> None:
    august = date(2026, 8, 3)
    assert not any(week(World(7), s, august) for s in World(7).schools[:20])
    always = World(7, vacation=False, late_publishers=False)
    assert all(week(always, s, august) for s in always.schools[:20])


@pytest.mark.parametrize("year", [2019, 2024, 2031])
def test_any_year_has_terms(year: int) -> None:
    world = World(7, schools=20, late_publishers=False)
    day = date(year, 11, 12)
    rows = week(world, world.schools[0], day - timedelta(days=day.weekday()))
    assert {(row["AY"], row["SEM"]) for row in rows} == {(str(year), "2")}


def test_some_schools_publish_late_or_never() -> None:
    world = World.nation(1)
    elementary = [s for s in world.schools if s.level == "elementary"][::40]
    published = sum(bool(week(world, s)) for s in elementary) / len(elementary)
    assert 0.7 < published < 0.9


def test_closed_and_unlisted_schools_leave_the_list() -> None:
    world = World(7)
    code = world.schools[0].school_code
    whole = len(world.listing())
    world.closed = frozenset({code})
    assert code not in {listing.fields["SD_SCHUL_CODE"] for listing in world.listing()}
    world.list_fraction = 0.1
    assert 0 < len(world.listing()) < whole * 0.25
