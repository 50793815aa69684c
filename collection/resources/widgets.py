"""How cells are read. A cell that can't be read raises ValueError: its line is refused."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from import_export.widgets import ManyToManyWidget, Widget

from collection.models import Office


class OneOf(Widget):
    def __init__(self, values: Iterable[str]) -> None:
        super().__init__()
        self._values = list(values)

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str:
        if value not in self._values:
            raise ValueError(
                gettext("%(value)r is none of: %(values)s")
                % {"value": value, "values": ", ".join(self._values)}
            )
        return str(value)


class SomeOf(OneOf):
    """Values with blanks between them."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        return [super(SomeOf, self).clean(part) for part in str(value or "").split()]


class Offices(ManyToManyWidget):
    """Codes with blanks between them; the package's own widget passes over unknown ones."""

    def __init__(self) -> None:
        super().__init__(Office, separator=" ", field="code")

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> QuerySet[Office]:
        codes = str(value or "").split()
        found = Office.objects.filter(code__in=codes)
        if unknown := set(codes) - {office.code for office in found}:
            raise ValueError(
                gettext("There is no education office %(codes)s.")
                % {"codes": ", ".join(sorted(unknown))}
            )
        return found


class Switch(Widget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> bool:
        known = {"true": True, "false": False}
        try:
            return known[str(value).strip().lower()]
        except KeyError:
            raise ValueError(gettext("Write true or false.")) from None
