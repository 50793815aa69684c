"""A universe of schools and timetables, computed from a seed; no process sees another one."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import orjson

from .clock import Clock
from .dice import fraction
from .listing import Listing, list_schools
from .offices import LEVEL_OF_SERVICE, NATION, OFFICES
from .schools import School, populate
from .terms import academic_year
from .timetables import Conditions, SchoolWeek, render_week, scatter

Row = dict[str, str | None]
LEVELS = tuple(LEVEL_OF_SERVICE.values())


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that no reader can take for a timetable entry, and what is odd about it."""

    kind: str
    row: Row


class World:
    """The truth that the emulator serves, and the settings that change it.

    The same arguments give the same bytes in any process. `revision`, `vacation`,
    `late_publishers`, `dirty_share`, `closed`, `list_fraction` and `clock` may be changed at
    any time; whatever is asked next is computed with them.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        schools: int = 300,
        offices: Collection[str] = ("I10", "T10"),
        levels: Collection[str] = LEVELS,
        vacation: bool = True,
        late_publishers: bool = True,
        dirty_rows: bool | float = False,
        revision: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.seed = seed
        self.clock = clock or Clock()
        self.revision = revision
        self.vacation = vacation
        self.late_publishers = late_publishers
        self.dirty_share = float(dirty_rows) if not isinstance(dirty_rows, bool) else 0.0
        if dirty_rows is True:
            self.dirty_share = 0.25
        self.closed: frozenset[str] = frozenset()
        self.list_fraction = 1.0
        self.schools = populate(seed, schools, tuple(offices), tuple(levels))
        self._by_code = {(s.office_code, s.school_code): s for s in self.schools}
        self._listed: tuple[str, list[Listing]] | None = None

    @classmethod
    def nation(cls, seed: int = 1, **settings: object) -> "World":
        """All 17 offices and V10: 12,590 schools."""
        return cls(seed, schools=NATION, offices=tuple(OFFICES), **settings)  # type: ignore[arg-type]

    @property
    def conditions(self) -> Conditions:
        return Conditions(
            seed=self.seed,
            today=self.clock.today(),
            revision=self.revision,
            vacation=self.vacation,
            late_publishers=self.late_publishers,
            dirty_share=self.dirty_share,
        )

    def school(self, office_code: str, school_code: str) -> School | None:
        return self._by_code.get((office_code, school_code))

    def listing(self) -> list[Listing]:
        """The rows of schoolInfo as they are now, without closed schools."""
        loaded = f"{self.clock.today():%Y%m%d}"
        if self._listed is None or self._listed[0] != loaded:
            self._listed = loaded, list_schools(self.seed, self.schools, loaded)
        return [listing for listing in self._listed[1] if self._is_listed(listing)]

    def _is_listed(self, listing: Listing) -> bool:
        code = str(listing.fields["SD_SCHUL_CODE"])
        if code in self.closed:
            return False
        return self.list_fraction >= 1 or fraction(self.seed, code, "listed") < self.list_fraction

    def timetable(self, school: School, first: date, last: date) -> list[bytes]:
        """Rendered rows of these days, both inclusive, in served order; duplicates included."""
        rows: list[bytes] = []
        conditions = self.conditions
        monday = first - timedelta(days=first.weekday())
        while monday <= last:
            for weekday, day in enumerate(render_week(conditions, school, monday).days):
                if first <= monday + timedelta(days=weekday) <= last:
                    rows += day
            monday += timedelta(days=7)
        return scatter(rows, self.seed, school.school_code)

    def raw_rows(self, office_code: str, school_code: str, monday: date) -> list[Row]:
        """All rows of the week with their duplicates, in served order; dirty ones as well."""
        school = self._by_code[office_code, school_code]
        rendered = self.timetable(school, monday, monday + timedelta(days=6))
        return [orjson.loads(row) for row in rendered]

    def truth(self, office_code: str, school_code: str, monday: date) -> list[Row]:
        """What the week holds: rows equal in all but LOAD_DTM once (the later date kept).

        Rows in `rejected` are left out; those that are odd but readable are not.
        """
        unreadable = {
            orjson.dumps(odd.row) for odd in self.rejected(office_code, school_code, monday)
        }
        rows = self.raw_rows(office_code, school_code, monday)
        return without_duplicates(row for row in rows if orjson.dumps(row) not in unreadable)

    def rejected(self, office_code: str, school_code: str, monday: date) -> list[RejectedRow]:
        """The rows of the week that cannot be read as entries: none unless `dirty_rows` is on."""
        week = self._week(office_code, school_code, monday)
        return [
            RejectedRow(odd.kind, orjson.loads(odd.row)) for odd in week.dirt if not odd.readable
        ]

    def _week(self, office_code: str, school_code: str, monday: date) -> SchoolWeek:
        return render_week(self.conditions, self._by_code[office_code, school_code], monday)

    def recent_years(self) -> tuple[int, ...]:
        """The school years that datasets without a date hold, the present one last."""
        year = academic_year(self.clock.today())
        return (year - 1, year)


def without_duplicates(rows: Iterator[Row]) -> list[Row]:
    """Rows equal in everything but LOAD_DTM once, in the order of their first appearance."""
    kept: dict[tuple[str | None, ...], Row] = {}
    for row in rows:
        identity = tuple(value for name, value in row.items() if name != "LOAD_DTM")
        known = kept.get(identity)
        if known is None:
            kept[identity] = row
        elif str(row["LOAD_DTM"]) > str(known["LOAD_DTM"]):
            known["LOAD_DTM"] = row["LOAD_DTM"]
    return list(kept.values())
