"""Kinds of schools, and the services that may have their timetables."""

import pytest

from collection.classifying import classify
from collection.models import Level, TimetableService

ELEMENTARY, MIDDLE, HIGH, SPECIAL = Level.ELEMENTARY, Level.MIDDLE, Level.HIGH, Level.SPECIAL
FIRST_SERVICE = {
    ELEMENTARY: TimetableService.ELEMENTARY,
    MIDDLE: TimetableService.MIDDLE,
    HIGH: TimetableService.HIGH,
    SPECIAL: TimetableService.SPECIAL,
}


@pytest.mark.parametrize(
    ("kind", "level"),
    [("초등학교", ELEMENTARY), ("중학교", MIDDLE), ("고등학교", HIGH), ("특수학교", SPECIAL)],
)
def test_one_service_is_asked_when_kind_is_certain(kind: str, level: Level) -> None:
    assert classify(kind, "이름과 상관없는 초등학교") == (level, [FIRST_SERVICE[level]])


@pytest.mark.parametrize(
    ("kind", "name", "level"),
    [
        ("각종학교(초)", "", ELEMENTARY),
        ("각종학교(중)", "", MIDDLE),
        ("각종학교(고)", "", HIGH),
        ("방송통신중학교", "", MIDDLE),
        ("방송통신고등학교", "", HIGH),
        ("평생학교(초)-3년6학기", "", ELEMENTARY),
        ("평생학교(중)-2년6학기", "", MIDDLE),
        ("평생학교(고)-3년6학기", "", HIGH),
        ("재외한국학교(초)", "", ELEMENTARY),
        ("", "서울초등학교", ELEMENTARY),
        ("", "서울중학교", MIDDLE),
        ("", "서울특수학교", SPECIAL),
        ("", "알 수 없는 곳", HIGH),
        ("공동실습소", "알 수 없는 곳", HIGH),
    ],
    ids=lambda value: str(value) or "-",
)
def test_every_service_is_asked_once_the_likely_first_when_kind_leaves_a_doubt(
    kind: str, name: str, level: Level
) -> None:
    guessed, services = classify(kind, name)

    assert guessed is level
    assert services[0] is FIRST_SERVICE[level]
    assert sorted(services) == sorted(TimetableService)
