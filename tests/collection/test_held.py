"""Held weeks: asked again, accepted, rejected, compared."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django_celery_results.models import TaskResult

from collection import held, runs, storage, tasks
from collection.deciding import HoldRule
from collection.models import (
    Attempt,
    FetchState,
    HeldState,
    HeldWeek,
    Run,
    RunState,
    SchoolFetch,
    SchoolWeek,
    TimetableEntry,
)
from tests.collection import ledger
from tests.collection import rows as wire
from tests.collection.holding import hold, let_pass, store, subjects
from tests.collection.ledger import claimed, make_school, take
from tests.collection.rows import MONDAY

pytestmark = pytest.mark.django_db


# A second look


def test_school_is_asked_once_more_when_its_week_is_held() -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    claim = claimed(school)

    assert store(claim, []) is FetchState.WAITING

    fetch = SchoolFetch.objects.get(pk=claim.fetch_id)
    assert (fetch.failures, fetch.finished_at, fetch.published_at) == (0, None, None)
    assert fetch.next_attempt_at is not None
    wait = fetch.next_attempt_at - HeldWeek.objects.get().held_at
    assert wait == timedelta(seconds=660)
    assert Attempt.objects.get(fetch=fetch).outcome == "succeeded"
    assert runs.finish_due() == 1  # The run that stored the week; this one goes on.
    assert Run.objects.get(pk=claim.run_id).state == RunState.RUNNING


@pytest.mark.parametrize(
    ("second", "state", "left", "held_states"),
    [
        pytest.param(0, FetchState.EMPTY, 0, {"accepted"}, id="agrees"),
        pytest.param(2, FetchState.HELD, 40, {"superseded", "waiting"}, id="disagrees"),
        pytest.param(40, FetchState.SUCCEEDED, 40, {"superseded"}, id="the rows are back"),
    ],
)
def test_fetch_ends_when_the_second_answer(
    second: int, state: FetchState, left: int, held_states: set[str]
) -> None:
    school = make_school()
    store(claimed(school), wire.lessons(40))
    claim = claimed(school)
    store(claim, [])
    let_pass(seconds=700)

    again = take(SchoolFetch.objects.get(pk=claim.fetch_id))
    assert store(again, wire.lessons(second)) is state

    assert len(subjects(school)) == left
    assert set(HeldWeek.objects.values_list("state", flat=True)) == held_states
    fetch = SchoolFetch.objects.get(pk=claim.fetch_id)
    assert (fetch.state, fetch.attempt, fetch.failures) == (state, 2, 0)
    assert fetch.finished_at is not None


def test_the_numbers_add_up_over_both_answers_when_a_school_was_asked_twice() -> None:
    school = make_school()
    store(claimed(school, weeks=2), wire.lessons(40))
    claim = claimed(school, weeks=2)
    rows = [*wire.lessons(3), *wire.lessons(5, ALL_TI_YMD="20260616")]
    store(claim, rows)
    let_pass(seconds=700)

    store(take(SchoolFetch.objects.get(pk=claim.fetch_id)), rows)

    fetch = SchoolFetch.objects.get(pk=claim.fetch_id)
    assert (fetch.received, fetch.stored, fetch.held, fetch.unchanged) == (16, 8, 3, 5)
    assert fetch.received == fetch.stored + fetch.held + fetch.unchanged


# An operator's word


@pytest.mark.parametrize("after", [0, 3])
def test_kept_answer_stands_in_place_of_the_week_when_accepted(after: int) -> None:
    school, operator = make_school(), User.objects.create(username="operator")
    kept = hold(school, after=after)

    assert held.accept(held.waiting(), by=operator) == 1

    assert len(subjects(school)) == after
    week = SchoolWeek.objects.get()
    assert (week.entries, bytes(week.digest)) == (after, bytes(kept.digest))
    assert week.changed_by_id == kept.fetch.run_id
    kept.refresh_from_db()
    assert (kept.state, kept.decided_by) == (HeldState.ACCEPTED, operator)
    assert kept.decided_at is not None
    # What is stored is what the answer was: the same again changes nothing.
    claim = claimed(school)
    store(claim, wire.lessons(after))
    assert SchoolFetch.objects.get(pk=claim.fetch_id).stored == 0


def test_entries_are_those_of_the_answer_when_accepted() -> None:
    school, twin = make_school(), make_school("7010119")
    few = [wire.high(CLASS_NM=None, LOAD_DTM=None), *wire.lessons(2, ALL_TI_YMD="20260612")]
    store(claimed(school), wire.lessons(40))
    store(claimed(school), few, rule=HoldRule())
    store(claimed(twin), few)

    held.accept(held.waiting(), by=None)

    columns = [f.name for f in TimetableEntry._meta.fields if f.name not in ("pk", "school")]
    entries = TimetableEntry.objects.order_by("date", "position")
    assert list(entries.filter(school=school).values_list(*columns)) == list(
        entries.filter(school=twin).values_list(*columns)
    )


def test_stored_week_stays_when_rejected() -> None:
    school, operator = make_school(), User.objects.create(username="operator")
    kept = hold(school)

    assert held.reject(held.waiting(), by=operator) == 1

    kept.refresh_from_db()
    assert (kept.state, kept.decided_by) == (HeldState.REJECTED, operator)
    assert len(subjects(school)) == 40
    assert held.waiting().count() == 0


@pytest.mark.parametrize("act", [held.accept, held.reject])
def test_nothing_changes_when_a_newer_answer_came_first(act: Any) -> None:
    school = make_school()
    chosen = HeldWeek.objects.filter(pk=hold(school).pk)
    store(claimed(school), wire.lessons(41))

    assert act(chosen, by=None) == 0

    assert len(subjects(school)) == 41
    assert HeldWeek.objects.get().state == HeldState.SUPERSEDED


def test_only_the_chosen_are_decided_when_chosen_by_office_level_and_dates() -> None:
    schools = [
        make_school("1", office="B10", level="high"),
        make_school("2", office="B10", level="middle"),
        make_school("3", office="C10", level="high"),
    ]
    for school in schools:
        hold(school)

    chosen = held.waiting().filter(
        school__office="B10", school__level="high", monday__range=(MONDAY, MONDAY)
    )
    assert held.accept(chosen, by=None) == 1

    assert [len(subjects(school)) for school in schools] == [0, 40, 40]


@pytest.mark.django_db(transaction=True)
def test_one_decision_holds_when_accepted_rejected_and_answered_at_once() -> None:
    school = make_school()
    chosen = HeldWeek.objects.filter(pk=hold(school).pk)
    claim = claimed(school)
    acts = [
        lambda: held.accept(chosen, by=None),
        lambda: held.reject(chosen, by=None),
        lambda: store(claim, wire.lessons(41)) and 0,
    ]

    counts = ledger.at_once(lambda number: acts[number](), times=3)

    assert counts[0] + counts[1] <= 1
    # The newer answer stands, whoever came first.
    assert len(subjects(school)) == 41
    assert len(subjects(school)) == SchoolWeek.objects.get().entries


def test_accepted_for_later_is_decided_at_once_and_stored_by_whoever_comes() -> None:
    schools = [make_school(str(number)) for number in range(3)]
    operator = User.objects.create(username="operator")
    weeks = [hold(school) for school in schools]

    assert held.accept_later(held.waiting(), by=operator) == 3

    assert not held.waiting().exists()
    assert [len(subjects(school)) for school in schools] == [40, 40, 40]
    assert held.any_accepted()
    clicked_at = HeldWeek.objects.get(pk=weeks[0].pk).decided_at

    assert held.store_accepted(most_schools=2) == 2
    assert held.store_accepted(most_schools=2) == 1

    assert not held.any_accepted()
    assert [len(subjects(school)) for school in schools] == [0, 0, 0]
    for week in HeldWeek.objects.filter(pk__in=[week.pk for week in weeks]):
        assert (week.state, week.decided_by) == (HeldState.ACCEPTED, operator)
        # What was counted of the week in between is counted again.
        assert week.decided_at >= clicked_at
    logged = LogEntry.objects.filter(user=operator).values_list("object_id", flat=True)
    assert sorted(logged) == sorted(str(week.pk) for week in weeks)


def test_school_that_can_not_be_stored_waits_for_a_decision_again_and_keeps_no_other() -> None:
    broken, sound = make_school("1"), make_school("2")
    hold(broken)
    hold(sound)
    HeldWeek.objects.filter(school=broken).update(payload=b"no answer")
    held.accept_later(held.waiting(), by=User.objects.create(username="operator"))

    tasks.store_accepted.apply()

    failed = TaskResult.objects.get(task_name="collection.store_accepted")
    assert failed.status == "FAILURE"
    assert f"The accepted weeks of school {broken.pk} are not stored." in failed.traceback
    assert (len(subjects(broken)), len(subjects(sound))) == (40, 0)
    assert list(held.waiting().values_list("school", "decided_by")) == [(broken.pk, None)]
    assert not held.any_accepted()


def test_all_stays_accepted_when_the_database_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    schools = [make_school(str(number)) for number in range(3)]
    for school in schools:
        hold(school)
    held.accept_later(held.waiting(), by=None)
    asked = []

    def go_away(school_id: int, *args: object, **options: object) -> int:
        asked.append(school_id)
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(storage, "replace_week", go_away)
        with pytest.raises(OperationalError):
            held.store_accepted(most_schools=9)

    # Each of the others would have waited for a connection, too.
    assert asked == [schools[0].pk]
    assert held.store_accepted(most_schools=9) == 3


def test_newer_answer_stands_when_it_comes_before_what_was_accepted_is_stored() -> None:
    school, operator = make_school(), User.objects.create(username="operator")
    kept = hold(school)
    held.accept_later(held.waiting(), by=operator)

    store(claimed(school), wire.lessons(41))

    assert held.store_accepted(most_schools=9) == 0
    assert len(subjects(school)) == 41
    kept.refresh_from_db()
    assert (kept.state, kept.decided_by) == (HeldState.SUPERSEDED, None)


def test_what_is_being_accepted_can_not_be_rejected() -> None:
    hold(make_school())
    held.accept_later(held.waiting(), by=None)

    assert held.reject(HeldWeek.objects.all(), by=None) == 0

    assert held.any_accepted()


@pytest.mark.django_db(transaction=True)
def test_each_week_is_stored_once_when_many_store_what_was_accepted() -> None:
    schools = [make_school(str(number)) for number in range(12)]
    for school in schools:
        hold(school)
    held.accept_later(held.waiting(), by=None)

    counts = ledger.at_once(lambda number: held.store_accepted(most_schools=12), times=4)
    counts.append(held.store_accepted(most_schools=12))

    assert sum(counts) == 12
    assert not any(subjects(school) for school in schools)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["accept", "accept later", "reject", "store"])
def test_held_weeks_are_locked_by_date_when_several_are_decided(act: str) -> None:
    school, week_before = make_school(), MONDAY - storage.ONE_WEEK
    rows = wire.lessons(41, ALL_TI_YMD=f"{week_before:%Y%m%d}")
    store(claimed(school, first_monday=week_before), rows)
    second = hold(school)
    # By the order of the model, and as it lies in the table, which is small enough to be read
    # through, the first week comes after the second.
    first = copy(second)
    first.pk, first.monday = second.pk - 1, week_before
    first.save(force_insert=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE collection_heldweek")
    claim = claimed(school, first_monday=week_before, weeks=2)
    acts: dict[str, Callable[[], object]] = {
        "accept": lambda: held.accept(held.waiting(), by=None),
        "accept later": lambda: held.accept_later(held.waiting(), by=None),
        "reject": lambda: held.reject(held.waiting(), by=None),
        "store": lambda: store(claim, rows + wire.lessons(41)),
    }

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            HeldWeek.objects.select_for_update().get(pk=first.pk)
            acting = other.submit(ledger.at_once, lambda _: acts[act](), times=1)
            wait_until_somebody_waits_for_a_lock()
            # Whoever had this one by now would wait in a ring with this transaction.
            HeldWeek.objects.select_for_update(nowait=True).get(pk=second.pk)
        acting.result()


def wait_until_somebody_waits_for_a_lock() -> None:
    question = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 10
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            # A transaction sees the activity as it was when it first asked.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(question)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    pytest.fail("Nobody waits.")


def test_difference_tells_what_accepting_would_change() -> None:
    school = make_school()
    store(
        claimed(school),
        [
            wire.high(PERIO=str(n), ITRT_CNTNT=f"{n}교시", CLASS_NM=c)
            for n in (1, 2, 3)
            for c in "123456789"
        ],
    )
    store(
        claimed(school),
        [
            wire.high(PERIO="1", ITRT_CNTNT="1교시"),
            wire.high(PERIO="2", ITRT_CNTNT="다른 것"),
            wire.high(PERIO="7", ITRT_CNTNT="새로"),
        ],
        rule=HoldRule(),
    )

    found = held.difference(HeldWeek.objects.get())

    assert [lesson.subject for lesson in found.added] == ["새로"]
    assert [(a.subject, b.subject) for a, b in found.changed] == [("2교시", "다른 것")]
    assert len(found.removed) == 25
