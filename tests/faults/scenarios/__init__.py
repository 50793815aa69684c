"""The forty, each a plain function. Its docstring names what is injected, and what must come."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.rig import Rig

SCENARIOS: "dict[str, Scenario]" = {}


@dataclass(frozen=True)
class Scenario:
    name: str
    inject: str
    expect: str
    act: Callable[[Rig], None]
    schools: int = 300
    quick_schools: int = 40
    weeks: int = 1
    world: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    short: bool = False
    """In its small size it takes a few seconds, and belongs to every run of the tests."""


def scenario(
    name: str, *, inject: str, expect: str, **options: Any
) -> Callable[[Callable[[Rig], None]], Callable[[Rig], None]]:
    def register(act: Callable[[Rig], None]) -> Callable[[Rig], None]:
        SCENARIOS[name] = Scenario(name, inject, expect, act, **options)
        return act

    return register
