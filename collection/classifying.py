"""What a school of the list is, and which services may have its timetable. Pure.

NEIS says what kind a school is, but the service is not one to one with the kind: 각종학교(중)
mostly answers from misTimetable and sometimes from elsTimetable. Where the kind leaves a doubt
the services are asked in turn, and the first that has rows is remembered.
"""

from collections.abc import Sequence

from collection.models import Level, TimetableService

_SERVICE_OF = {
    Level.ELEMENTARY: TimetableService.ELEMENTARY,
    Level.MIDDLE: TimetableService.MIDDLE,
    Level.HIGH: TimetableService.HIGH,
    Level.SPECIAL: TimetableService.SPECIAL,
}
_CERTAIN = {
    "초등학교": Level.ELEMENTARY,
    "중학교": Level.MIDDLE,
    "고등학교": Level.HIGH,
    "특수학교": Level.SPECIAL,
}
# The first that stands in the kind, else in the name, decides.
_HINTS = (
    ("특수", Level.SPECIAL),
    ("초", Level.ELEMENTARY),
    ("중", Level.MIDDLE),
    ("고", Level.HIGH),
)


def classify(kind: str, name: str) -> tuple[Level, Sequence[TimetableService]]:
    """The level, and the services in the order in which to ask them."""
    certain = _CERTAIN.get(kind)
    if certain is not None:
        return certain, [_SERVICE_OF[certain]]
    level = _guess(kind) or _guess_from_name(name) or Level.HIGH
    first = _SERVICE_OF[level]
    return level, [first, *(service for service in TimetableService if service is not first)]


def _guess(kind: str) -> Level | None:
    inside = kind.partition("(")[2] or kind
    return next((level for hint, level in _HINTS if hint in inside), None)


def _guess_from_name(name: str) -> Level | None:
    return next((level for ending, level in _CERTAIN.items() if name.endswith(ending)), None)
