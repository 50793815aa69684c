"""Timetables: schools are found, and a class's grid is the truth of its week."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from collection import storage
from collection.deciding import HoldRule
from collection.models import Level, School, SchoolWeek
from collection.neis_emulator import School as EmulatedSchool
from collection.neis_emulator import World
from collection.normalising import normalise
from dashboard.timetables.grid import ClassIdentity, Entry, Grid, classes_of, draw
from dashboard.timetables.marks import read_subject
from dashboard.timetables.reads import read_entries, read_timetable
from dashboard.timetables.searching import find_schools
from tests.collection.ledger import claimed, make_school
from tests.collection.rows import in_columns
from tests.dashboard.people import log_in

MONDAY = date(2026, 5, 18)
WORLD = World(5, schools=300, offices=("T10",), late_publishers=False)
LEVELS = {"elsTimetable": Level.ELEMENTARY, "misTimetable": Level.MIDDLE,
          "hisTimetable": Level.HIGH, "spsTimetable": Level.SPECIAL}  # fmt: skip

pytestmark = pytest.mark.django_db
Row = dict[str, str | None]


def truth(school: EmulatedSchool, monday: date = MONDAY) -> list[Row]:
    return WORLD.truth(school.office_code, school.school_code, monday)


def collect(school: EmulatedSchool, monday: date = MONDAY) -> School:
    """Stores the week as a worker does."""
    stored = make_school(
        school.school_code, office=school.office_code, level=LEVELS[school.service],
        services=[school.service],
    )  # fmt: skip
    claim = claimed(stored, first_monday=monday)
    answer = normalise(
        in_columns(WORLD.raw_rows(school.office_code, school.school_code, monday)),
        office_code=school.office_code,
        school_code=school.school_code,
        mondays=[monday],
    )
    storage.store(claim, answer, service=school.service, requests=1, rule=HoldRule())
    return stored


def identity_of(row: Row) -> ClassIdentity:
    return ClassIdentity(
        row.get("SCHUL_CRSE_SC_NM"), row.get("DGHT_CRSE_SC_NM"), row.get("ORD_SC_NM"),
        row.get("DDDEP_NM"), int(row["GRADE"] or 0), row["CLASS_NM"],
    )  # fmt: skip


Slot = tuple[str, int, str, str]


def slots(row: Row) -> Slot:
    return (str(row["ALL_TI_YMD"]), int(row["PERIO"] or 0), row["ITRT_CNTNT"] or "",
            row.get("CLRM_NM") or "")  # fmt: skip


def drawn(grid: Grid) -> Iterator[Slot]:
    for period, cells in grid.rows:
        for day, cell in zip(grid.days, cells, strict=True):
            for lesson in cell.lessons:
                yield f"{day.date:%Y%m%d}", period, lesson.subject.raw, lesson.classroom


def of_service(service: str) -> Callable[[EmulatedSchool], bool]:
    return lambda school: school.service == service and bool(truth(school))


def has_equal_numbers(school: EmulatedSchool) -> bool:
    """Two classes of one grade with one number, told apart by their departments alone."""
    classes = {identity_of(row) for row in truth(school)}
    numbers = Counter((each.grade, each.name) for each in classes)
    return school.stream == "vocational" and max(numbers.values(), default=0) > 1


def has_electives(school: EmulatedSchool) -> bool:
    return school.service == "hisTimetable" and any(
        row["CLASS_NM"] is None for row in truth(school)
    )


def has_parallel_subjects(school: EmulatedSchool) -> bool:
    cells = Counter((identity_of(row), row["ALL_TI_YMD"], row["PERIO"]) for row in truth(school))
    return any(count > 1 and each[0].name for each, count in cells.items())


KINDS = {
    "elementary": of_service("elsTimetable"),
    "middle": of_service("misTimetable"),
    "special": of_service("spsTimetable"),
    "vocational with equal class numbers": has_equal_numbers,
    "electives": has_electives,
    "parallel subjects": has_parallel_subjects,
}


@pytest.mark.parametrize("kind", KINDS)
def test_grid_of_every_class_is_the_truth(kind: str) -> None:
    school = next(filter(KINDS[kind], WORLD.schools))
    entries = read_entries(collect(school), MONDAY)
    rows = truth(school)

    classes = classes_of(entries)

    assert set(classes) == {identity_of(row) for row in rows}
    assert len({each.key for each in classes}) == len(classes)
    for each in classes:
        expected = Counter(slots(row) for row in rows if identity_of(row) == each)
        assert Counter(drawn(draw(entries, each, MONDAY))) == expected


def test_event_day_is_told_and_other_days_are_not() -> None:
    event = "재량휴업일"
    school, monday = next(
        (school, monday)
        for school in WORLD.schools
        for monday in (MONDAY - timedelta(weeks=n) for n in range(8))
        if of_service("elsTimetable")(school)
        and any(row["ITRT_CNTNT"] == event for row in truth(school, monday))
    )
    entries = read_entries(collect(school, monday), monday)
    days = {row["ALL_TI_YMD"] for row in truth(school, monday) if row["ITRT_CNTNT"] == event}

    grid = draw(entries, classes_of(entries)[0], monday)

    assert {f"{day.date:%Y%m%d}" for day in grid.days if day.event == event} == days
    assert any(not day.event for day in grid.days)


def entry(period: int, subject: str | None, *, name: str | None = "1", day: int = 0) -> Entry:
    return Entry(
        MONDAY + timedelta(days=day), period, 2, name, None, "주간", None, None, None, subject
    )


def test_empty_cell_leads_to_the_electives_of_the_grade() -> None:
    entries = [entry(1, "국어"), *(entry(2, each, name=None) for each in ("물리", "화학"))]
    own, electives = classes_of(entries)

    cells = [row[0] for _, row in draw(entries, own, MONDAY).rows]

    assert own.electives == electives
    assert [(len(cell.lessons), cell.electives) for cell in cells] == [(1, 0), (0, 2)]


def test_saturday_is_shown_only_when_there_is_something() -> None:
    entries = [entry(1, "국어")]
    identity = classes_of(entries)[0]

    assert len(draw(entries, identity, MONDAY).days) == 5
    assert len(draw([*entries, entry(1, "자습", day=5)], identity, MONDAY).days) == 6


def test_classes_stand_in_the_order_of_numbers_with_electives_last() -> None:
    entries = [entry(1, "국어", name=name) for name in ("10", None, "2", "믿음", "1")]

    assert [each.name for each in classes_of(entries)] == ["1", "2", "10", "믿음", None]


@pytest.mark.parametrize(
    ("raw", "marks", "name"),
    [
        ("국어", (), "국어"),
        ("[보강]국어", ("[보강]",), "국어"),
        ("* 국어", ("*",), "국어"),
        ("[보강]* 국어", ("[보강]", "*"), "국어"),
        ("-국어", ("-",), "국어"),
        ("[기]국어", ("[기]",), "국어"),
        ("[동]동아리활동", (), "[동]동아리활동"),
        ("기술-가정", (), "기술-가정"),
        ("-", (), "-"),
        ("*", (), "*"),
        (None, (), ""),
    ],
)
def test_marks_are_told_apart_from_the_subject(
    raw: str | None, marks: tuple[str, ...], name: str
) -> None:
    subject = read_subject(raw)

    assert (subject.marks, subject.name, subject.raw) == (marks, name, raw or "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ㅎㄷ", ["한동고등학교", "서울한동중학교"]),
        ("ㅎㄷㄱ", ["한동고등학교"]),
        ("한ㄷ", ["한동고등학교", "서울한동중학교"]),
        ("ㄱㅅ", ["강서초등학교"]),
        ("ㄳ", ["강서초등학교"]),
        ("동", ["서울한동중학교", "한동고등학교"]),
        ("한 동", ["한동고등학교", "서울한동중학교"]),
        ("한동", ["한동고등학교", "서울한동중학교"]),
        ("7000003", ["강서초등학교"]),
        ("c00", ["한동고등학교"]),
        (".*", []),
        ("(", []),
        ("ㄲ", []),
    ],
)
def test_school_is_found(text: str, found: list[str]) -> None:
    for code, name in (
        ("C000001", "한동고등학교"), ("7000002", "서울한동중학교"), ("7000003", "강서초등학교"),
    ):  # fmt: skip
        School.objects.filter(pk=make_school(code).pk).update(name=name)

    assert [school.name for school in find_schools(text)] == found


def test_search_keeps_to_office_and_level() -> None:
    make_school("7000001", office="B10", level=Level.HIGH)
    kept = make_school("7000002", office="C10", level=Level.HIGH)
    make_school("7000003", office="C10", level=Level.MIDDLE)

    assert find_schools("ㅎㄱ", office="C10", level="high") == [kept]


def test_page_shows_a_week_of_many_classes_in_few_queries(client: Client) -> None:
    log_in(client, "view_timetableentry")
    school = next(filter(has_electives, WORLD.schools))
    address = f"/admin/timetables/{school.office_code}/{collect(school).code}/?week={MONDAY}"

    with CaptureQueriesContext(connection) as queries:
        page = client.get(address, headers={"Accept-Language": "en"}).content.decode()

    assert len(queries) == 9
    assert f"{MONDAY} – 05-24" in page
    assert "electives" in page


def test_week_without_entries_says_why(client: Client) -> None:
    log_in(client, "view_timetableentry")
    school = make_school()

    page = client.get(
        f"/admin/timetables/B10/{school.code}/?week={MONDAY}", headers={"Accept-Language": "en"}
    ).content.decode()

    assert "Never tried" in page
    assert "Collect this school" not in page


def test_csv_is_the_class_alone_and_no_formula(client: Client) -> None:
    user = log_in(client, "view_timetableentry")
    school = collect(next(filter(has_parallel_subjects, WORLD.schools)))
    timetable = read_timetable(school, MONDAY, "")
    assert timetable.grid is not None
    address = (
        f"/admin/timetables/T10/{school.code}/csv/"
        f"?week={MONDAY}&class={timetable.grid.identity.key}"
    )
    assert client.get(address).status_code == 403
    user.is_superuser = True
    user.save()

    answer = client.get(address)
    assert answer.streaming
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()

    assert len(lines) - 1 == sum(
        len(cell.lessons) for _, row in timetable.grid.rows for cell in row
    )
    assert not any(
        field.startswith(("=", "-", "*=")) for line in lines for field in line.split(",")
    )


def test_pages_need_the_permission(client: Client) -> None:
    log_in(client, "view_schoolweek")
    school = make_school()

    for address in ("", "found/", f"B10/{school.code}/"):
        assert client.get(f"/admin/timetables/{address}").status_code == 403
    assert not SchoolWeek.objects.exists()
