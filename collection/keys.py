"""The keys of NEIS that every worker agrees on: PostgreSQL remembers which are set aside."""

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Now

from collection.clock import database_now
from collection.models import ApiKeyState
from collection.neis import Key, KeyProblem, KeyRefused, KeySpent
from collection.planning import next_day_begins

_REMEMBERED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Known:
    read_at: float
    refused: frozenset[str]
    spent: frozenset[str]


class StoredKeys:
    """A key ring. `secret` turns keys into fingerprints that tell nothing of them."""

    def __init__(self, values: Sequence[str], *, secret: str) -> None:
        self._keys = {
            _fingerprint(value, secret): Key(value, label=f"key {number}")
            for number, value in enumerate(values, start=1)
        }
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

    def set_aside(self, key: Key, problem: KeyProblem) -> None:
        now = database_now()
        fingerprint = next(name for name, value in self._keys.items() if value is key)
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


def _fingerprint(value: str, secret: str) -> str:
    return hmac.digest(secret.encode(), value.encode(), "sha256").hex()[:32]
