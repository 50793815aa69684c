"""What becomes of one week's answer, given what is stored. Pure."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta


class Decision(enum.Enum):
    UNCHANGED = "unchanged"
    REPLACE = "replace"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class StoredWeek:
    entries: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """The earlier answer for the same week that still waits for a decision.

    `guarded`: its run was paused by the guard and nobody has looked yet; it can't be agreed with.
    """

    digest: bytes
    held_at: datetime
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class HoldRule:
    """A week is held when it falls to nothing, or, having had `from_entries`, below the share.

    A school with a held week is asked once more after `ask_again_after`; None: it is not.
    """

    below_share: float = 0.5
    from_entries: int = 20
    agree_after: timedelta = timedelta(minutes=10)
    ask_again_after: timedelta | None = None


def decide(
    *,
    stored: StoredWeek | None,
    held: HeldAnswer | None,
    entries: int,
    digest: bytes,
    rule: HoldRule,
    now: datetime,
) -> Decision:
    """A second answer that agrees with a held one, long enough after it, is believed."""
    if stored is None:
        return Decision.REPLACE
    if stored.digest == digest:
        return Decision.UNCHANGED
    if not _shrinks_too_much(stored.entries, entries, rule):
        return Decision.REPLACE
    if held and _agrees(held, digest, rule, now):
        return Decision.REPLACE
    return Decision.HOLD


def _agrees(held: HeldAnswer, digest: bytes, rule: HoldRule, now: datetime) -> bool:
    if held.guarded:
        return False
    return held.digest == digest and now - held.held_at >= rule.agree_after


def _shrinks_too_much(before: int, after: int, rule: HoldRule) -> bool:
    if before > 0 and after == 0:
        return True
    return before >= rule.from_entries and after < before * rule.below_share
