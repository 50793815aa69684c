"""What becomes of a week's answer."""

from datetime import UTC, datetime, timedelta

import pytest

from collection.deciding import Decision, HeldAnswer, HoldRule, StoredWeek, decide

NOW = datetime(2026, 6, 12, 3, tzinfo=UTC)
NEW, OLD, THIRD = b"new", b"old", b"third"


def held(digest: bytes, *, minutes: float) -> HeldAnswer:
    return HeldAnswer(digest, NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("before", "after", "waiting", "expected"),
    [
        pytest.param(None, 0, None, Decision.REPLACE, id="first answer, empty"),
        pytest.param(None, 300, None, Decision.REPLACE, id="first answer"),
        pytest.param(0, 1, None, Decision.REPLACE, id="rows where there were none"),
        pytest.param(300, 900, None, Decision.REPLACE, id="grows"),
        pytest.param(1, 0, None, Decision.HOLD, id="one entry falls to nothing"),
        pytest.param(300, 0, None, Decision.HOLD, id="falls to nothing"),
        pytest.param(20, 10, None, Decision.REPLACE, id="half of enough"),
        pytest.param(20, 9, None, Decision.HOLD, id="less than half of enough"),
        pytest.param(19, 1, None, Decision.REPLACE, id="too few to judge by"),
        pytest.param(300, 0, held(NEW, minutes=10), Decision.REPLACE, id="agrees after ten"),
        pytest.param(300, 0, held(NEW, minutes=9.99), Decision.HOLD, id="agrees too soon"),
        pytest.param(300, 0, held(THIRD, minutes=60), Decision.HOLD, id="disagrees"),
        pytest.param(300, 299, held(THIRD, minutes=1), Decision.REPLACE, id="recovers"),
    ],
)
def test_decision_when(
    before: int | None, after: int, waiting: HeldAnswer | None, expected: Decision
) -> None:
    decision = decide(
        stored=None if before is None else StoredWeek(before, OLD),
        held=waiting,
        entries=after,
        digest=NEW,
        rule=HoldRule(),
        now=NOW,
    )

    assert decision is expected


@pytest.mark.parametrize("waiting", [None, held(OLD, minutes=60), held(NEW, minutes=60)])
def test_week_is_unchanged_when_the_digest_is_the_stored_one(waiting: HeldAnswer | None) -> None:
    stored = StoredWeek(300, NEW)

    assert Decision.UNCHANGED is decide(
        stored=stored, held=waiting, entries=300, digest=NEW, rule=HoldRule(), now=NOW
    )


def test_fall_to_nothing_is_held_when_the_share_is_switched_off() -> None:
    rule = HoldRule(below_share=0.0)
    stored = StoredWeek(300, OLD)

    decisions = [
        decide(stored=stored, held=None, entries=entries, digest=NEW, rule=rule, now=NOW)
        for entries in (1, 0)
    ]

    assert decisions == [Decision.REPLACE, Decision.HOLD]
