"""Education offices, school kinds and the timetable services they answer from."""

from typing import NamedTuple


class Office(NamedTuple):
    code: str
    name: str
    place: str
    schools: int
    """Schools in the nation: only the proportions matter."""
    first_code: int
    phone: str
    domain: str


OFFICES = {
    office.code: office
    for office in (
        Office("B10", "서울특별시교육청", "서울특별시", 1415, 7010000, "02", "sen"),
        Office("C10", "부산광역시교육청", "부산광역시", 650, 7150000, "051", "pen"),
        Office("D10", "대구광역시교육청", "대구광역시", 485, 7240000, "053", "dge"),
        Office("E10", "인천광역시교육청", "인천광역시", 576, 7310000, "032", "icees"),
        Office("F10", "광주광역시교육청", "광주광역시", 325, 7380000, "062", "gen"),
        Office("G10", "대전광역시교육청", "대전광역시", 320, 7430000, "042", "djsch"),
        Office("H10", "울산광역시교육청", "울산광역시", 255, 7480000, "052", "use"),
        Office("I10", "세종특별자치시교육청", "세종특별자치시", 110, 9300000, "044", "sjeduhs"),
        Office("J10", "경기도교육청", "경기도", 2620, 7530000, "031", "goe"),
        Office("K10", "강원특별자치도교육청", "강원특별자치도", 665, 7800000, "033", "gwe"),
        Office("M10", "충청북도교육청", "충청북도", 505, 8000000, "043", "cbe"),
        Office("N10", "충청남도교육청", "충청남도", 760, 8140000, "041", "cne"),
        Office("P10", "전북특별자치도교육청", "전북특별자치도", 800, 8320000, "063", "jbe"),
        Office("Q10", "전라남도교육청", "전라남도", 860, 8490000, "061", "jne"),
        Office("R10", "경상북도교육청", "경상북도", 990, 8750000, "054", "gbe"),
        Office("S10", "경상남도교육청", "경상남도", 1020, 9010000, "055", "gne"),
        Office("T10", "제주특별자치도교육청", "제주특별자치도", 200, 9290000, "064", "jje"),
        Office("V10", "재외한국학교교육청", "해외거주", 34, 9900000, "86", "mofa"),
    )
}

ELS, MIS, HIS, SPS = "elsTimetable", "misTimetable", "hisTimetable", "spsTimetable"

LEVEL_OF_SERVICE = {ELS: "elementary", MIS: "middle", HIS: "high", SPS: "special"}


class Kind(NamedTuple):
    """A kind of school as it is listed, and the service that its timetable really comes from."""

    name: str | None
    service: str
    schools: int
    suffix: str


ORDINARY_KINDS = (
    Kind("초등학교", ELS, 6380, "초등학교"),
    Kind("중학교", MIS, 3313, "중학교"),
    Kind("고등학교", HIS, 2395, "고등학교"),
    Kind("특수학교", SPS, 199, "학교"),
)
OTHER_KINDS = (
    Kind("각종학교(초)", ELS, 14, "국제학교"),
    Kind("각종학교(중)", MIS, 24, "대안학교"),
    # The same kind from another service: the kind does not tell the service.
    Kind("각종학교(중)", ELS, 6, "발도르프학교"),
    Kind("각종학교(고)", HIS, 48, "대안학교"),
    Kind("방송통신중학교", MIS, 26, "중학교부설방송통신중학교"),
    Kind("방송통신고등학교", HIS, 42, "고등학교부설방송통신고등학교"),
    Kind("평생학교(초)", ELS, 14, "초등학력인정평생학교"),
    Kind("평생학교(중)", MIS, 32, "평생학교"),
    Kind("평생학교(고)", HIS, 46, "평생학교"),
    Kind(None, MIS, 9, "학교"),
    Kind(None, HIS, 8, "학교"),
)
ABROAD_KINDS = (
    Kind("재외한국학교(초)", ELS, 16, "한국학교"),
    Kind("재외한국학교(중)", MIS, 9, "한국학교"),
    Kind("재외한국학교(고)", HIS, 9, "한국학교"),
)

NATION = 12_590
