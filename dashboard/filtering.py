"""What the filters above the console's lists share: forms that are read from the address."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from collection.models import Office

AnyRows = QuerySet[Any]

_ALL = _("All")


class Filters(forms.Form):
    """A field that can't be read filters nothing: the form shows what is wrong with it."""

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self.is_valid()

    @property
    def in_use(self) -> bool:
        return any(self.cleaned_data.values())

    def apply(self, rows: AnyRows) -> AnyRows:
        raise NotImplementedError

    def _equal(self, rows: AnyRows, **lookups: str) -> AnyRows:
        """`lookups`: field of the form to column of the rows."""
        chosen = {
            column: self.cleaned_data[name]
            for name, column in lookups.items()
            if self.cleaned_data.get(name)
        }
        return rows.filter(**chosen)


def choice(
    label: Any, choices: Iterable[tuple[Any, Any]], *, every: Any = _ALL
) -> forms.ChoiceField:
    """`every` is what stands for no choice."""
    return forms.ChoiceField(
        label=label,
        choices=[("", every), *choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )


def day(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )


def search(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "search", "placeholder": ""}),
    )


def offices() -> forms.ModelChoiceField[Office]:
    return forms.ModelChoiceField(
        label=_("Education office"),
        queryset=Office.objects.all(),
        required=False,
        empty_label=_ALL,
        widget=UnfoldAdminSelectWidget,
    )


def named(text: str, *, school: str = "school") -> Q:
    """A school by its code, or by a part of its name."""
    if text.isascii() and text.isdigit():
        return Q(**{f"{school}__code": text})
    return Q(**{f"{school}__name__icontains": text})
