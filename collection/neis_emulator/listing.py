"""The school list (schoolInfo), with the dirt that the real one has."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from .dice import generator, number
from .names import DISTRICTS, STREETS
from .offices import NATION, OFFICES
from .schools import EVERY_KIND_FROM, School

Row = dict[str, str | None]
BLANK_CODE = " " * 7
BOM, NBSP = "\ufeff", "\u00a0"


@dataclass(frozen=True, slots=True)
class Listing:
    """One row of the list; `school` is None on rows without a usable code."""

    school: School | None
    fields: Row
    wire: bytes


def list_schools(seed: int, schools: tuple[School, ...], loaded: str) -> list[Listing]:
    """All rows, in no order: one for each school, blank codes, and codes that stand twice."""
    rows = [
        _listing(seed, school, row | _dirt(position, school, row))
        for position, school in enumerate(schools)
        for row in (_row(seed, school, loaded),)
    ]
    rows += _rows_without_code(seed, schools, loaded)
    rows += _second_rows(seed, schools, loaded)
    rows.sort(key=lambda listing: number(seed, listing.wire, "order"))
    return rows


def _listing(seed: int, school: School | None, row: Row) -> Listing:
    return Listing(school, row, orjson.dumps(row))


def _scaled(schools: int, in_the_nation: int) -> int:
    if schools < EVERY_KIND_FROM:
        return 0
    return max(1, round(in_the_nation * schools / NATION))


def _rows_without_code(seed: int, schools: tuple[School, ...], loaded: str) -> Iterator[Listing]:
    for order in range(_scaled(len(schools), 25)):
        like = schools[number(seed, "blank", order) % len(schools)]
        name = f"{like.name} {order + 1}분교장"
        row = _row(seed, like, loaded) | {"SD_SCHUL_CODE": BLANK_CODE, "SCHUL_NM": name}
        yield _listing(seed, None, row)


def _second_rows(seed: int, schools: tuple[School, ...], loaded: str) -> Iterator[Listing]:
    """Codes that stand on two rows: the second differs in name and address."""
    for order in range(_scaled(len(schools), 2)):
        like = schools[number(seed, "second", order) % len(schools)]
        name = f"{like.name}(병설)"
        row = _row(seed, like, loaded) | {"SCHUL_NM": name, "ORG_RDNDA": None}
        yield _listing(seed, like, row)


def _row(seed: int, school: School, loaded: str) -> Row:
    rng = generator(seed, school.school_code, "listing")
    office = OFFICES[school.office_code]
    is_high = school.level == "high"
    return {
        "ATPT_OFCDC_SC_CODE": school.office_code,
        "ATPT_OFCDC_SC_NM": school.office_name,
        "SD_SCHUL_CODE": school.school_code,
        "SCHUL_NM": school.name,
        "ENG_SCHUL_NM": school.english_name,
        "SCHUL_KND_SC_NM": school.kind,
        "LCTN_SC_NM": office.place,
        "JU_ORG_NM": school.office_name,
        "FOND_SC_NM": rng.choices(("공립", "사립", "국립"), (80, 19, 1))[0],
        "ORG_RDNZC": f"{rng.randrange(1000, 63000):05} ",
        "ORG_RDNMA": f"{office.place} {rng.choice(DISTRICTS)} {rng.choice(STREETS)} "
        f"{rng.randrange(1, 400)}",
        "ORG_RDNDA": f"({rng.choice(DISTRICTS)})" if rng.random() < 0.8 else f", {school.name}",
        "ORG_TELNO": f"{office.phone}-{rng.randrange(200, 9999)}-{rng.randrange(10000):04}",
        "HMPG_ADRES": f"http://s{school.school_code.lower()}.{office.domain}.kr",
        "COEDU_SC_NM": rng.choices(("남여공학", "남", "여"), (88, 6, 6))[0],
        "ORG_FAXNO": f"{office.phone}-{rng.randrange(200, 9999)}-{rng.randrange(10000):04}",
        "HS_SC_NM": _high_kind(school) if is_high else "  ",
        "INDST_SPECL_CCCCL_EXST_YN": "N",
        "HS_GNRL_BUSNS_SC_NM": _general_or_trade(school) if is_high else "해당없음",
        "SPCLY_PURPS_HS_ORD_NM": "과학계열" if school.stream == "special-purpose" else None,
        "ENE_BFE_SEHF_SC_NM": "후기" if school.stream == "general" else "전기",
        "DGHT_SC_NM": "주간",
        "FOND_YMD": f"{rng.randrange(1920, 2024)}{rng.randrange(1, 13):02}01",
        "FOAS_MEMRD": f"{rng.randrange(1920, 2024)}{rng.randrange(1, 13):02}15",
        "LOAD_DTM": loaded,
    }


def _high_kind(school: School) -> str:
    kinds = {"vocational": "특성화고", "special-purpose": "특목고"}
    return kinds.get(school.stream, "일반고")


def _general_or_trade(school: School) -> str:
    return "전문계" if school.stream == "vocational" else "일반계"


def _dirt(position: int, school: School, row: Row) -> Row:
    """What is odd about this row: one in six is, each kind at least once in a hundred rows."""
    dirt: Row = {}
    chance = position * 37 % 100 / 100
    if chance < 0.01:
        dirt["ORG_TELNO"] = "-"
    elif chance < 0.02:
        dirt["ORG_TELNO"] = "0"
    elif chance < 0.03:
        dirt["SCHUL_NM"] = BOM + school.name
    elif chance < 0.04:
        dirt["SCHUL_NM"] = school.name.replace("학교", NBSP + "학교", 1)
    elif chance < 0.08:
        dirt["HMPG_ADRES"] = str(row["HMPG_ADRES"]).removeprefix("http://")
    elif chance < 0.11:
        dirt |= {"HMPG_ADRES": None, "ORG_FAXNO": None, "ENG_SCHUL_NM": None}
    elif chance < 0.14:
        dirt |= {"ORG_RDNZC": None, "ORG_RDNMA": None, "ORG_RDNDA": None, "COEDU_SC_NM": None}
    elif chance < 0.16:
        dirt |= {"FOND_YMD": None, "FOAS_MEMRD": None, "FOND_SC_NM": None, "JU_ORG_NM": None}
    return dirt
