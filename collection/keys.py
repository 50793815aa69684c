"""The keys of NEIS that every worker agrees on: PostgreSQL remembers which are set aside."""

import hmac
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from collection.clock import database_now
from collection.models import ApiKeyState, KeyUsage
from collection.neis import Key, KeyProblem, KeyRefused, KeySpent
from collection.planning import KOREA, next_day_begins

_REMEMBERED_SECONDS = 2.0
# So many calls are set aside at once, so that most of them cost no statement.
BLOCK = 50


@dataclass(frozen=True, slots=True)
class _Known:
    read_at: float
    refused: frozenset[str]
    spent: frozenset[str]


@dataclass(slots=True)
class _Block:
    """Calls set aside for this process, good until the Korean day is over."""

    left: int
    until: float


class StoredKeys:
    """A key ring. `secret` turns keys into fingerprints that tell nothing of them.

    `daily_calls` is the limit of each key; 0: unknown, calls are only counted.
    """

    def __init__(self, values: Sequence[str], *, secret: str, daily_calls: int = 0) -> None:
        names = fingerprints(values, secret=secret)
        self._keys = {
            name: Key(value, label=label_of(number))
            for number, (name, value) in enumerate(zip(names, values, strict=True), start=1)
        }
        self._daily_calls = daily_calls
        self._blocks: dict[str, _Block] = {}
        self._counting = threading.Lock()
        self._known: _Known | None = None

    def current(self) -> Key | None:
        if not self._keys:
            return None
        known = self._states()
        key = self._usable(known)
        if key is None:
            # Before all work stops until tomorrow: this may be tomorrow already.
            known = self._known = self._read()
            key = self._usable(known)
        if key is not None:
            return key
        if known.spent:
            raise KeySpent("The daily limit of every usable key is spent.", code="ERROR-337")
        raise KeyRefused("NEIS refuses every key.")

    def _usable(self, known: _Known) -> Key | None:
        aside = known.refused | known.spent
        return next((key for name, key in self._keys.items() if name not in aside), None)

    def count(self, key: Key) -> None:
        fingerprint = self._name_of(key)
        with self._counting:
            block = self._blocks.get(fingerprint)
            if block is None or not block.left or time.monotonic() >= block.until:
                block = self._blocks[fingerprint] = self._reserve(fingerprint)
            if not block.left:
                raise KeySpent(f"The {self._daily_calls} calls of {key.label} are spent.")
            block.left -= 1

    def _reserve(self, fingerprint: str) -> _Block:
        """Smaller blocks towards the end of the day's calls, so that few are left with others."""
        now = database_now()
        today: dict[str, Any] = {"fingerprint": fingerprint, "day": now.astimezone(KOREA).date()}
        with transaction.atomic():
            KeyUsage.objects.get_or_create(**today)
            used = KeyUsage.objects.select_for_update().get(**today).calls
            size = BLOCK
            if self._daily_calls:
                left = max(self._daily_calls - used, 0)
                size = min(BLOCK, -(-left // 4))
            KeyUsage.objects.filter(**today).update(calls=F("calls") + size)
        seconds = (next_day_begins(now) - now).total_seconds()
        return _Block(left=size, until=time.monotonic() + seconds)

    def _name_of(self, key: Key) -> str:
        return next(name for name, value in self._keys.items() if value is key)

    def set_aside(self, key: Key, problem: KeyProblem) -> None:
        now = database_now()
        fingerprint = self._name_of(key)
        ApiKeyState.objects.update_or_create(
            fingerprint=fingerprint, defaults={**_aside(problem, now), "code": problem.code}
        )
        self._known = None

    def _states(self) -> _Known:
        known = self._known
        if known is None or time.monotonic() - known.read_at > _REMEMBERED_SECONDS:
            known = self._known = self._read()
        return known

    def _read(self) -> _Known:
        rows = ApiKeyState.objects.filter(fingerprint__in=self._keys).filter(
            Q(refused_at__isnull=False) | Q(spent_until__gt=Now())
        )
        states = list(rows.values_list("fingerprint", "refused_at"))
        return _Known(
            read_at=time.monotonic(),
            refused=frozenset(name for name, refused_at in states if refused_at),
            spent=frozenset(name for name, refused_at in states if not refused_at),
        )


def forgive_refused() -> None:
    """Lets refused keys be tried again: an operator says that they work."""
    ApiKeyState.objects.filter(refused_at__isnull=False).update(refused_at=None)


def _aside(problem: KeyProblem, now: datetime) -> dict[str, datetime]:
    if isinstance(problem, KeySpent):
        return {"spent_until": next_day_begins(now)}
    return {"refused_at": now}


def fingerprints(values: Sequence[str], *, secret: str) -> list[str]:
    return [hmac.digest(secret.encode(), value.encode(), "sha256").hex()[:32] for value in values]


def label_of(number: int) -> str:
    """What a key is called where people read: its place in the environment, from 1."""
    return f"key {number}"
