"""The list of schools: what is kept, what is set aside, and when it is not believed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from collection import claiming, runs, school_list
from collection.claiming import ClaimLost, ListClaim
from collection.models import (
    AttemptOutcome,
    Dataset,
    FetchState,
    ListIssueKind,
    Office,
    School,
    SchoolFetch,
    SchoolListIssue,
    SchoolListSync,
)
from collection.neis import Keys, NeisClient, ServerFault
from collection.school_list import Listing, ListRefused
from tests.collection.ledger import make_run
from tests.collection.neis.server import Asked, reply, serving
from tests.collection.rows import NO_DATA, Row, page, result, school

NOW = datetime(2026, 6, 12, 3, tzinfo=UTC)

pytestmark = pytest.mark.django_db

Sync = Callable[..., SchoolListSync]


@pytest.fixture
def sync() -> Iterator[Sync]:
    """Brings the schools up to date with the rows that NEIS is to have now."""
    listed: list[Row] = []

    def answer(asked: Asked) -> list[bytes]:
        office = asked.query.get("ATPT_OFCDC_SC_CODE")
        rows = [row for row in listed if not office or row["ATPT_OFCDC_SC_CODE"] == office]
        if asked.key is None:
            return reply(page("schoolInfo", rows[:5], total=len(rows)))
        return reply(page("schoolInfo", rows) if rows else NO_DATA)

    with ExitStack() as stack:
        server = stack.enter_context(serving(answer))

        def act(
            rows: Sequence[Row],
            *,
            offices: Sequence[str] = (),
            now: datetime = NOW,
            least_share: float = 0.0,
            keys: Sequence[str] = ("key",),
        ) -> SchoolListSync:
            listed[:] = rows
            client = NeisClient(base_url=server.base_url, keys=Keys(keys))
            stack.callback(client.close)
            return school_list.sync(client, offices=offices, now=now, least_share=least_share)

        yield act


def counts(record: SchoolListSync) -> dict[str, int]:
    names = ("received", "added", "changed", "unchanged", "missing", "closed", "set_aside")
    record.refresh_from_db()
    return {name: getattr(record, name) for name in names if getattr(record, name)}


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Office, School)]


def test_school_is_stored_with_its_columns_when_it_is_new(sync: Sync) -> None:
    record = sync([school(ORG_RDNZC="05678 ", ORG_TELNO=None)])

    assert counts(record) == {"received": 1, "added": 1}
    stored = dict(School.objects.values().get())
    del stored["id"]
    assert stored == {
        "office_id": "B10",
        "code": "7010118",
        "name": "학교 7010118",
        "english_name": "School 7010118",
        "kind": "고등학교",
        "level": "high",
        "services": ["hisTimetable"],
        "location": "서울특별시",
        "address": "서울특별시 양천구 신목로 5 (신정동)",
        "founding": "사립",
        "high_school_kind": "일반고",
        "telephone": "",
        "homepage": "http://example.invalid",
        "founded_on": date(1981, 1, 5),
        "loaded_on": date(2026, 6, 11),
        "listed_at": NOW,
        "missed_lists": 0,
        "is_corrected": False,
        "closed_at": None,
    }
    assert Office.objects.values_list("code", "name").get() == ("B10", "서울특별시교육청")
    assert (record.finished_at, record.refused) == (NOW, False)


def test_blank_and_doubled_rows_are_set_aside_whole_and_counted(sync: Sync) -> None:
    blank = school("       ", SCHUL_NM="빈 코드")
    no_office = school("5", ATPT_OFCDC_SC_CODE=None)
    doubled = school("1", SCHUL_NM="둘째\0")

    record = sync([school("1"), blank, doubled, no_office, school("2"), blank])

    assert counts(record) == {"received": 6, "added": 2, "set_aside": 4}
    issues = SchoolListIssue.objects.filter(sync=record).order_by("id")
    assert [(issue.kind, issue.name) for issue in issues] == [
        (ListIssueKind.BLANK_CODE, "빈 코드"),
        (ListIssueKind.DOUBLED_CODE, "둘째"),
        (ListIssueKind.BLANK_OFFICE, "학교 5"),
        (ListIssueKind.BLANK_CODE, "빈 코드"),
    ]
    assert [issue.row for issue in issues] == [
        blank,
        doubled | {"SCHUL_NM": "둘째\\u0000"},
        no_office,
        blank,
    ]
    assert list(School.objects.order_by("code").values_list("name", flat=True)) == [
        "학교 1",
        "학교 2",
    ]


def test_one_code_is_two_schools_when_the_offices_differ(sync: Sync) -> None:
    sync([school("1"), school("1", ATPT_OFCDC_SC_CODE="C10")])

    assert sorted(School.objects.values_list("office_id", "code")) == [("B10", "1"), ("C10", "1")]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("\ufeff서울고등학교", "서울고등학교"),
        ("서울\u00a0고등학교\u00a0", "서울 고등학교"),
        ("  서울 고등학교  ", "서울 고등학교"),
        ("서울\0고등학교", "서울고등학교"),
        ("긴" * 500, "긴" * 200),
        (None, ""),
    ],
    ids=ascii,
)
def test_name_is_stored_when_neis_has_it_as(sync: Sync, raw: str | None, name: str) -> None:
    sync([school(SCHUL_NM=raw)])

    assert School.objects.get().name == name


@pytest.mark.parametrize(
    ("field", "raw"), [("FOND_YMD", "19810231"), ("FOND_YMD", "-"), ("LOAD_DTM", None)]
)
def test_school_is_stored_without_a_date_when_it_is_wrong(
    sync: Sync, field: str, raw: str | None
) -> None:
    sync([school() | {field: raw}])

    stored = School.objects.get()
    assert None in (stored.founded_on, stored.loaded_on)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(school("1234567890123"), id="code of 13 characters"),
        pytest.param(school("       ", SCHUL_NM="긴" * 500), id="long name without a code"),
        pytest.param(
            school(ATPT_OFCDC_SC_CODE="C10", ATPT_OFCDC_SC_NM="긴" * 500),
            id="long name of an office",
        ),
    ],
)
def test_other_schools_are_stored_when_one_row_has(sync: Sync, row: Row) -> None:
    sync([school("1"), row, school("2")])

    assert School.objects.filter(code__in=["1", "2"]).count() == 2


def test_schools_are_unchanged_or_changed_when_the_list_comes_again(sync: Sync) -> None:
    sync([school("1"), school("2"), school("3")])

    record = sync(
        [
            school("1", LOAD_DTM="20260613"),
            school("2", SCHUL_NM="새 이름"),
            school("3"),
            school("4", ATPT_OFCDC_SC_NM="새 교육청"),
        ],
        now=NOW + timedelta(days=7),
    )

    assert counts(record) == {"received": 4, "added": 1, "changed": 1, "unchanged": 2}
    assert School.objects.get(code="2").name == "새 이름"
    assert set(School.objects.values_list("listed_at", flat=True)) == {NOW + timedelta(days=7)}


# Closing


def test_school_is_closed_when_two_lists_are_without_it(sync: Sync) -> None:
    both, one = [school("1"), school("2")], [school("1")]
    sync(both)

    assert counts(sync(one)) == {"received": 1, "unchanged": 1, "missing": 1}
    assert School.objects.get(code="2").closed_at is None
    later = NOW + timedelta(days=7)
    assert counts(sync(one, now=later)) == {
        "received": 1,
        "unchanged": 1,
        "missing": 1,
        "closed": 1,
    }
    assert School.objects.get(code="2").closed_at == later
    assert counts(sync(one)) == {"received": 1, "unchanged": 1}
    assert School.objects.get(code="2").closed_at == later


def test_school_stays_open_when_it_is_missing_every_other_time(sync: Sync) -> None:
    both, one = [school("1"), school("2")], [school("1")]

    for rows in (both, one, both, one):
        sync(rows)

    found = School.objects.get(code="2")
    assert (found.closed_at, found.missed_lists) == (None, 1)


def test_school_is_open_again_when_it_is_back(sync: Sync) -> None:
    both, one = [school("1"), school("2")], [school("1")]
    for rows in (both, one, one):
        sync(rows)

    record = sync(both)

    assert counts(record) == {"received": 2, "changed": 1, "unchanged": 1}
    found = School.objects.get(code="2")
    assert (found.closed_at, found.missed_lists) == (None, 0)


def test_schools_of_other_offices_are_not_missed_when_one_office_is_asked(sync: Sync) -> None:
    rows = [school("1"), school("2"), school("3", ATPT_OFCDC_SC_CODE="C10")]
    sync(rows)

    record = sync([school("1")], offices=["B10"])

    assert counts(record) == {"received": 1, "unchanged": 1, "missing": 1}
    assert record.offices == ["B10"]
    assert dict(School.objects.values_list("code", "missed_lists")) == {"1": 0, "2": 1, "3": 0}


# Refusing


@pytest.mark.parametrize(
    ("left", "refused"),
    [
        pytest.param(20, False, id="all there"),
        pytest.param(19, False, id="5 % vanish"),
        pytest.param(18, True, id="10 % vanish"),
        pytest.param(0, True, id="all vanish"),
    ],
)
def test_list_is_refused_and_nothing_changes_when(sync: Sync, left: int, refused: bool) -> None:
    rows = [school(str(number)) for number in range(20)]
    sync(rows)
    before = everything()
    new = [row | {"SCHUL_NM": "새 이름"} for row in rows[:left]]
    new += [school(str(number)) for number in range(100, 120)]

    if not refused:
        assert sync(new, least_share=0.95).refused is False
        assert School.objects.count() == 40
        return
    with pytest.raises(ListRefused, match=f"{left} of 20"):
        sync(new, least_share=0.95)

    assert everything() == before
    record = SchoolListSync.objects.latest("id")
    assert record.refused
    assert f"{left} of 20" in record.message
    assert counts(record) == {"received": left + 20}


def test_issues_are_kept_when_the_list_is_refused(sync: Sync) -> None:
    sync([school("1"), school("2")])

    with pytest.raises(ListRefused):
        sync([school("  ")], least_share=0.95)

    assert SchoolListIssue.objects.get().kind == ListIssueKind.BLANK_CODE


def test_closed_schools_are_not_counted_when_a_list_is_judged(sync: Sync) -> None:
    rows = [school(str(number)) for number in range(10)]
    for part in (rows, rows[:5], rows[:5]):
        sync(part)

    assert sync(rows[:5], least_share=0.95).refused is False


def test_nothing_changes_when_neis_fails(sync: Sync) -> None:
    sync([school("1")])
    before = everything()
    with serving(lambda asked: reply(result("ERROR-500"))) as server:
        client = NeisClient(base_url=server.base_url, keys=Keys(["key"]))
        with pytest.raises(ServerFault):
            school_list.sync(client, now=NOW, least_share=0.95)
        client.close()

    assert everything() == before
    assert SchoolListSync.objects.latest("id").finished_at is None


def test_five_rows_are_not_taken_for_the_list_when_there_is_no_key(sync: Sync) -> None:
    with pytest.raises(Exception, match=r".+"):
        sync([school(str(number)) for number in range(20)], keys=())

    assert School.objects.count() == 0


# Services


def test_found_service_stays_first_when_the_list_comes_again(sync: Sync) -> None:
    row = school(SCHUL_KND_SC_NM="각종학교(중)")
    sync([row])
    found = School.objects.get()
    assert found.services[0] == "misTimetable"
    order = ["elsTimetable", *(name for name in found.services if name != "elsTimetable")]
    School.objects.update(services=order)

    record = sync([row])

    assert School.objects.get().services == order
    assert counts(record) == {"received": 1, "unchanged": 1}


def test_services_are_those_of_the_new_kind_when_it_changes(sync: Sync) -> None:
    sync([school(SCHUL_KND_SC_NM="각종학교(중)")])

    record = sync([school(SCHUL_KND_SC_NM="중학교")])

    found = School.objects.get()
    assert (found.level, found.services) == ("middle", ["misTimetable"])
    assert counts(record) == {"received": 1, "changed": 1}


# As the fetch of a run


def claim_list() -> ListClaim:
    fetch = SchoolFetch.objects.create(run=make_run(dataset=Dataset.SCHOOL_LIST))
    claim = claiming.claim(fetch.pk, worker="worker@here", task_id=None, lease_seconds=60)
    assert isinstance(claim, ListClaim)
    return claim


def store(rows: Sequence[Row], claim: ListClaim, *, least_share: float = 0.0) -> None:
    school_list.store(
        Listing(offices=(), rows=rows, requests=2),
        record=SchoolListSync(offices=[], started_at=NOW),
        now=NOW,
        least_share=least_share,
        claim=claim,
    )


def test_fetch_ends_with_the_list_and_counts_its_rows_when_it_is_stored(sync: Sync) -> None:
    sync([school("1"), school("2")])
    claim = claim_list()

    store([school("1"), school("2", SCHUL_NM="새 이름"), school("3"), school("")], claim)

    fetch = SchoolFetch.objects.get(pk=claim.fetch_id)
    assert (fetch.state, fetch.requests, fetch.lease_until) == (FetchState.SUCCEEDED, 2, None)
    assert (fetch.received, fetch.stored, fetch.unchanged, fetch.rejected) == (4, 2, 1, 1)
    assert fetch.attempts.get().outcome == AttemptOutcome.SUCCEEDED
    assert School.objects.count() == 3


@pytest.mark.parametrize("lost", ["other attempt", "cancelled"])
def test_nothing_is_written_when_the_claim_is_lost(lost: str) -> None:
    claim = claim_list()
    fetch = SchoolFetch.objects.filter(pk=claim.fetch_id)
    if lost == "cancelled":
        runs.cancel(claim.run_id)
    else:
        fetch.update(attempt=claim.attempt + 1)
    before = fetch.values().get()

    with pytest.raises(ClaimLost):
        store([school("1")], claim)

    assert fetch.values().get() == before
    assert not School.objects.exists()
    assert not SchoolListSync.objects.exists()


def test_refusal_is_kept_and_the_fetch_stays_with_its_worker_when_too_many_are_missing(
    sync: Sync,
) -> None:
    sync([school("1"), school("2")])
    claim = claim_list()

    with pytest.raises(ListRefused):
        store([school("1")], claim, least_share=0.95)

    assert SchoolListSync.objects.latest("id").refused
    assert SchoolFetch.objects.get(pk=claim.fetch_id).state == FetchState.RUNNING


def test_what_was_corrected_by_hand_outlasts_the_list(sync: Sync) -> None:
    sync([school()])
    corrected = {"level": "special", "services": ["spsTimetable"], "is_corrected": True}
    School.objects.update(**corrected)
    sync([school(SCHUL_NM="새 이름")])
    assert School.objects.values("name", *corrected).get() == {"name": "새 이름", **corrected}
