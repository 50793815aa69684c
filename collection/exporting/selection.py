"""Which rows an export holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import QuerySet, Sum

from collection.models import Dataset, School, SchoolWeek


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty `levels`, `offices` or `schools` (codes): all of them. A school list has no weeks."""

    mondays: Sequence[date] = ()
    levels: Sequence[str] = ()
    offices: Sequence[str] = ()
    schools: Sequence[str] = ()
    dataset: Dataset = Dataset.TIMETABLE

    def matching_schools(self) -> QuerySet[School]:
        matching = School.objects.all()
        if self.levels:
            matching = matching.filter(level__in=self.levels)
        if self.offices:
            matching = matching.filter(office__in=self.offices)
        if self.schools:
            matching = matching.filter(code__in=self.schools)
        return matching


def expected_rows(selection: Selection) -> int:
    """Exact unless something is stored meanwhile; read from the weeks, not from the entries."""
    schools = selection.matching_schools()
    if selection.dataset is Dataset.SCHOOL_LIST:
        return schools.count()
    return int(_weeks_of(selection).aggregate(rows=Sum("entries", default=0))["rows"])


def collected_weeks(selection: Selection) -> int:
    """How many school weeks of the selection have entries."""
    return _weeks_of(selection).filter(entries__gt=0).count()


def _weeks_of(selection: Selection) -> QuerySet[SchoolWeek]:
    weeks = SchoolWeek.objects.filter(monday__in=selection.mondays)
    if selection.levels or selection.offices or selection.schools:
        weeks = weeks.filter(school__in=selection.matching_schools())
    return weeks
