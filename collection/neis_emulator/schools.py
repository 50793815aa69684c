"""The schools of a world: who they are, not what they teach."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count

from .dice import fraction, generator, number, spread
from .names import CITIES_ABROAD, PLACES, SIDES
from .offices import (
    ABROAD_KINDS,
    HIS,
    LEVEL_OF_SERVICE,
    OFFICES,
    ORDINARY_KINDS,
    OTHER_KINDS,
    Kind,
    Office,
)

ABROAD = "V10"
EVERY_KIND_FROM = 300
"""Worlds of this many schools have every kind of school and of dirt at least once."""


@dataclass(frozen=True, slots=True)
class School:
    """One school that can be collected: its code is unique in the world."""

    office_code: str
    office_name: str
    school_code: str
    name: str
    english_name: str
    kind: str | None
    """SCHUL_KND_SC_NM; it does not tell the service."""
    service: str
    """The timetable service that really answers for it."""
    level: str
    """elementary, middle, high or special: the level of that service."""
    stream: str
    """Of high schools: general, vocational or special-purpose; else empty."""


def populate(
    seed: int, schools: int, offices: Collection[str], levels: Collection[str]
) -> tuple[School, ...]:
    """Exactly `schools` schools over these offices, in the nation's proportions."""
    chosen = [OFFICES[code] for code in offices]
    shares = spread(schools, [office.schools for office in chosen])
    abroad = sum(n for office, n in zip(chosen, shares, strict=True) if office.code == ABROAD)
    home_kinds = _draw_kinds(seed, schools - abroad, (*ORDINARY_KINDS, *OTHER_KINDS), levels)
    abroad_kinds = _draw_kinds(seed, abroad, ABROAD_KINDS, levels)
    found: list[School] = []
    for office, share in zip(chosen, shares, strict=True):
        kinds = abroad_kinds if office.code == ABROAD else home_kinds
        found += _found_schools(seed, office, [kinds.pop() for _ in range(share)])
    return tuple(found)


def _draw_kinds(
    seed: int, schools: int, kinds: tuple[Kind, ...], levels: Collection[str]
) -> list[Kind]:
    usable = [kind for kind in kinds if LEVEL_OF_SERVICE[kind.service] in levels]
    shares = spread(schools, [kind.schools for kind in usable])
    wanted = len(usable) if schools >= EVERY_KIND_FROM else len(ORDINARY_KINDS)
    if schools >= 2 * wanted:
        shares = _with_one_of_each(shares, wanted)
    drawn = [kind for kind, n in zip(usable, shares, strict=True) for _ in range(n)]
    generator(seed, "kinds").shuffle(drawn)
    return drawn


def _with_one_of_each(shares: list[int], wanted: int) -> list[int]:
    raised = [max(share, 1) if i < wanted else share for i, share in enumerate(shares)]
    raised[raised.index(max(raised))] -= sum(raised) - sum(shares)
    return raised


def _found_schools(seed: int, office: Office, kinds: list[Kind]) -> Iterator[School]:
    names_used: dict[str, count[int]] = {}
    code = office.first_code + 50
    for order, kind in enumerate(kinds):
        code += 1 + number(seed, office.code, order) % 3
        stream = _stream(seed, code, kind)
        suffix = _suffix(seed, code, kind, stream)
        name, english = _name(office, suffix, next(names_used.setdefault(suffix, count())))
        yield School(
            office_code=office.code,
            office_name=office.name,
            school_code=_code(office, kind, code),
            name=name,
            english_name=english,
            kind=kind.name,
            service=kind.service,
            level=LEVEL_OF_SERVICE[kind.service],
            stream=stream,
        )


def _code(office: Office, kind: Kind, code: int) -> str:
    """Schools abroad and some without a regular charter have codes with a letter."""
    lettered = office.code == ABROAD or kind.name == "각종학교(고)"
    return f"C0{code % 100_000:05}" if lettered else str(code)


def _stream(seed: int, code: int, kind: Kind) -> str:
    if kind.service != HIS:
        return ""
    if kind.name != "고등학교":
        return "general"
    chance = fraction(seed, code, "stream")
    return "vocational" if chance < 0.2 else "special-purpose" if chance < 0.25 else "general"


def _suffix(seed: int, code: int, kind: Kind, stream: str) -> str:
    if stream == "vocational":
        trades = ("공업", "상업", "정보", "생명과학", "하이텍", "조리과학")
        return trades[number(seed, code, "trade") % len(trades)] + kind.suffix
    if stream == "special-purpose":
        arts = ("과학", "외국어", "예술", "체육", "국제")
        return arts[number(seed, code, "art") % len(arts)] + kind.suffix
    return kind.suffix


_ENGLISH = (("초등", "Elementary School"), ("중학", "Middle School"), ("고등", "High School"))


def _name(office: Office, suffix: str, serial: int) -> tuple[str, str]:
    """The `serial`-th name of an office for this suffix; no name comes twice."""
    if office.code == ABROAD:
        city = CITIES_ABROAD[serial % len(CITIES_ABROAD)]
        return f"{city}제{serial // len(CITIES_ABROAD) + 1}{suffix}", f"Korean School {serial + 1}"
    serial, place = divmod(serial * 29, len(PLACES)) if serial < len(PLACES) else _wide(serial)
    place_ko, place_en = PLACES[place]
    town, side = divmod(serial, len(SIDES))
    side_ko, side_en = SIDES[side]
    town_ko = PLACES[town % len(PLACES)][0] if town else ""
    school = next((english for korean, english in _ENGLISH if korean in suffix), "School")
    return f"{town_ko}{place_ko}{side_ko}{suffix}", f"{place_en}{side_en} {school}"


def _wide(serial: int) -> tuple[int, int]:
    return divmod(serial, len(PLACES))
