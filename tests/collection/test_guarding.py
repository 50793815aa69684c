"""The guard of a run: which it pauses, and what goes on until an operator has looked."""

import pytest
from django.utils import timezone
from pytest_django import Settings

from collection import guarding, runs
from collection.models import (
    FetchState,
    HeldState,
    HeldWeek,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
    TimetableEntry,
)
from tests.collection import rows as wire
from tests.collection.holding import let_pass, store
from tests.collection.ledger import claimed, make_fetch, make_run, make_school, take

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.GUARD_ABOVE_SHARE = 0.05
    settings.GUARD_FROM_SCHOOLS = 3


def make_losing_run(*, losing: int, schools: int = 40) -> tuple[Run, list[SchoolFetch]]:
    """A run in which the first schools would lose their week."""
    made = [make_school(f"s{number}") for number in range(schools)]
    for school in made:
        store(claimed(school), wire.lessons(2))
    Run.objects.update(state=RunState.COMPLETED, finished_at=timezone.now())
    run = make_run()
    fetches = [make_fetch(school, run) for school in made]
    for fetch in fetches[:losing]:
        store(take(fetch), [])
    return run, fetches


def state_of(run: Run) -> tuple[str, str]:
    run.refresh_from_db()
    return run.state, run.pause_reason


@pytest.mark.parametrize(
    ("losing", "schools", "paused"),
    [
        pytest.param(2, 20, False, id="too few to judge by"),
        pytest.param(3, 60, False, id="not above the share"),
        pytest.param(4, 60, True, id="above the share"),
    ],
)
def test_run_is_paused_or_not_when_it_would_empty(losing: int, schools: int, paused: bool) -> None:
    run, _ = make_losing_run(losing=losing, schools=schools)

    assert guarding.pause_losing() == paused

    assert state_of(run) == (("paused", "guard") if paused else ("running", ""))


def test_nothing_is_emptied_without_an_operator_when_a_run_was_paused_by_the_guard() -> None:
    _run, fetches = make_losing_run(losing=10)
    under_way = take(fetches[10])
    guarding.pause_losing()
    let_pass(hours=1)

    # One that was under way, and a later run over the same weeks.
    assert store(under_way, []) is FetchState.WAITING
    later = make_run()
    assert store(take(make_fetch(fetches[0].school, later)), []) is not FetchState.EMPTY

    assert TimetableEntry.objects.filter(school=fetches[0].school).count() == 2
    assert HeldWeek.objects.filter(state=HeldState.ACCEPTED).count() == 0


def test_run_goes_on_and_believes_second_answers_when_an_operator_resumes_it() -> None:
    run, fetches = make_losing_run(losing=10)
    guarding.pause_losing()
    assert runs.resume(run.pk)

    assert guarding.pause_losing() == 0
    let_pass(hours=1)
    fetches[0].refresh_from_db()

    assert store(take(fetches[0]), []) is FetchState.EMPTY
    assert guarding.pause_losing() == 0


def test_run_paused_by_the_guard_waits_for_an_operator_when_nothing_is_left_to_do() -> None:
    run, _fetches = make_losing_run(losing=10)
    guarding.pause_losing()
    SchoolFetch.objects.filter(run=run).update(state=FetchState.HELD)

    assert runs.finish_due() == 0
    runs.resume(run.pk)
    assert runs.finish_due() == 1


def test_schools_emptied_by_the_rule_count_when_the_guard_looks() -> None:
    _run, fetches = make_losing_run(losing=2)
    let_pass(hours=1)
    for fetch in fetches[:2]:
        assert store(take(SchoolFetch.objects.get(pk=fetch.pk)), []) is FetchState.EMPTY
    assert guarding.pause_losing() == 0

    store(take(fetches[2]), [])

    assert guarding.pause_losing() == 1


def test_pause_has_its_reason_and_no_end_when_the_guard_made_it() -> None:
    run, _ = make_losing_run(losing=10)
    guarding.pause_losing()
    run.refresh_from_db()
    assert (run.pause_reason, run.paused_until) == (PauseReason.GUARD, None)
    assert run.guarded_at is not None
