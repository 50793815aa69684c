"""Finds a school by its code, a part of its name, or the initial consonants of that.

The pattern is matched against all of some 12,600 names, which takes milliseconds: no index helps
with two letters, and nothing has to be kept up.
"""

import re
import unicodedata
from collections.abc import Sequence

from django.db.models import Case, F, IntegerField, Q, Value, When

from collection.models import School

MOST_FOUND = 30
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_FIRST_SYLLABLE = ord("가")
_SYLLABLES_OF_AN_INITIAL = 21 * 28
# What an input method makes of two initials that are typed one after the other.
_CLUSTERS = str.maketrans(
    {
        "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ",
        "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
    }
)  # fmt: skip


def pattern_of(text: str) -> str:
    """A regular expression for PostgreSQL: ㅎㄷ finds 휘동 and 한대, 한ㄷ finds 한동."""
    letters = unicodedata.normalize("NFC", text).translate(_CLUSTERS)
    return r"\s*".join(_letter(letter) for letter in letters if not letter.isspace())


def _letter(letter: str) -> str:
    if letter not in _INITIALS:
        return re.escape(letter)
    first = _FIRST_SYLLABLE + _INITIALS.index(letter) * _SYLLABLES_OF_AN_INITIAL
    return f"[{chr(first)}-{chr(first + _SYLLABLES_OF_AN_INITIAL - 1)}]"


def find_schools(text: str, *, office: str = "", level: str = "") -> Sequence[School]:
    """The first MOST_FOUND and one more where there are more: names that begin so come first."""
    schools = School.objects.select_related("office")
    if office:
        schools = schools.filter(office=office)
    if level:
        schools = schools.filter(level=level)
    pattern = pattern_of(text)
    begins = Case(
        When(name__iregex=f"^{pattern}", then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    )
    found = schools.filter(Q(name__iregex=pattern) | Q(code__istartswith=text.strip()))
    order = (F("closed_at").asc(nulls_first=True), begins, "name", "pk")
    return list(found.order_by(*order)[: MOST_FOUND + 1])
