"""Keys of NEIS, and which of them to use."""

from collections.abc import Sequence
from typing import Protocol

from collection.neis.errors import KeyProblem


class Key:
    """A key that does not show itself: neither repr nor str holds it."""

    __slots__ = ("_value", "label")

    def __init__(self, value: str, *, label: str) -> None:
        self._value = value
        self.label = label

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Key({self.label})"


class KeyRing(Protocol):
    """Which key to use next, and what to do with one that NEIS turned away."""

    def current(self) -> Key | None:
        """The key to use; None where no key is configured. Raises the KeyProblem of the last
        one when every key is set aside."""

    def count(self, key: Key) -> None:
        """Called before each request. Raises KeySpent when the key has no call left."""

    def set_aside(self, key: Key, problem: KeyProblem) -> None: ...


class Keys:
    """A key ring for one process: a key set aside stays so until the end."""

    def __init__(self, values: Sequence[str]) -> None:
        self._usable = [Key(value, label=f"key {n}") for n, value in enumerate(values, start=1)]
        self._last_problem: KeyProblem | None = None

    def current(self) -> Key | None:
        if self._usable:
            return self._usable[0]
        if self._last_problem is not None:
            raise self._last_problem
        return None

    def count(self, key: Key) -> None:
        pass

    def set_aside(self, key: Key, problem: KeyProblem) -> None:
        if key in self._usable:
            self._usable.remove(key)
        self._last_problem = problem
