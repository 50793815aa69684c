"""The columns of each dataset: names, headers, and where each comes from.

Names and headers are part of the file format: other programs rely on the names and their order,
and no translation may change a header.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from collection.models import Dataset, HeaderStyle


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    source: str
    korean: str
    english: str
    kind: Literal["text", "integer", "date"] = "text"

    def header(self, style: HeaderStyle) -> str:
        match style:
            case HeaderStyle.KOREAN:
                return self.korean
            case HeaderStyle.ENGLISH:
                return self.english
            case HeaderStyle.MACHINE:
                return self.name


_SCHOOL = (
    Column("office_code", "school.office_id", "교육청코드", "Office code"),
    Column("office", "office.name", "교육청", "Education office"),
    Column("school_code", "school.code", "학교코드", "School code"),
    Column("school", "school.name", "학교명", "School"),
)
_LEVEL = Column("level", "school.level", "학교급", "School level")

TIMETABLE = (
    *_SCHOOL,
    _LEVEL,
    Column("academic_year", "entry.academic_year", "학년도", "School year", "integer"),
    Column("semester", "entry.semester", "학기", "Semester", "integer"),
    Column("date", "entry.date", "일자", "Date", "date"),
    Column("grade", "entry.grade", "학년", "Grade", "integer"),
    Column("class_name", "entry.class_name", "반", "Class"),
    Column("course", "entry.course", "학교과정", "Course"),
    Column("day_night", "entry.day_night", "주야과정", "Day or night course"),
    Column("track", "entry.track", "계열", "Track"),
    Column("department", "entry.department", "학과", "Department"),
    Column("classroom", "entry.classroom", "강의실", "Classroom"),
    Column("period", "entry.period", "교시", "Period", "integer"),
    Column("subject", "entry.subject", "수업내용", "Subject"),
    Column("loaded_on", "entry.loaded_on", "적재일자", "Loaded by NEIS on", "date"),
)

SCHOOL_LIST = (
    *_SCHOOL,
    Column("english_name", "school.english_name", "영문학교명", "English name"),
    Column("kind", "school.kind", "학교종류", "Kind in NEIS"),
    _LEVEL,
    Column("location", "school.location", "소재지", "Location"),
    Column("address", "school.address", "도로명주소", "Address"),
    Column("founding", "school.founding", "설립구분", "Public or private"),
    Column("high_school_kind", "school.high_school_kind", "고등학교구분", "Kind of high school"),
    Column("telephone", "school.telephone", "전화번호", "Telephone"),
    Column("homepage", "school.homepage", "홈페이지", "Homepage"),
    Column("founded_on", "school.founded_on", "설립일자", "Founded on", "date"),
    Column("loaded_on", "school.loaded_on", "적재일자", "Loaded by NEIS on", "date"),
    Column(
        "closed_on",
        "(school.closed_at AT TIME ZONE 'Asia/Seoul')::date",
        "폐교확인일",
        "Closed since",
        "date",
    ),
)


_TITLES = {
    (Dataset.TIMETABLE, HeaderStyle.KOREAN): "시간표",
    (Dataset.TIMETABLE, HeaderStyle.ENGLISH): "Timetables",
    (Dataset.TIMETABLE, HeaderStyle.MACHINE): "timetables",
    (Dataset.SCHOOL_LIST, HeaderStyle.KOREAN): "학교목록",
    (Dataset.SCHOOL_LIST, HeaderStyle.ENGLISH): "Schools",
    (Dataset.SCHOOL_LIST, HeaderStyle.MACHINE): "schools",
}


def title_of(dataset: Dataset, style: HeaderStyle) -> str:
    """What a file is called, in the language of its header."""
    return _TITLES[dataset, style]


def columns_of(dataset: Dataset) -> Sequence[Column]:
    return SCHOOL_LIST if dataset is Dataset.SCHOOL_LIST else TIMETABLE
