"""What an operator fills in to ask for an export."""

import re
from collections.abc import Sequence
from datetime import date, time
from typing import Any

from django import forms
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold import widgets

from collection.exporting import Form
from collection.models import (
    Audience,
    Dataset,
    Encoding,
    Export,
    ExportSchedule,
    HeaderStyle,
    Level,
    Office,
    School,
)
from collection.planning import monday_of


class UnknownSchools(Exception):
    """The message names them, and what to write in their place."""


class ChoicesForm(forms.ModelForm[Any]):
    """Which rows, in which form. Encoding and header may be left to what goes with the reader."""

    levels = forms.MultipleChoiceField(
        label=_("School levels"),
        choices=Level.choices,
        required=False,
        help_text=_("None: all levels."),
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
    )
    offices = forms.MultipleChoiceField(
        label=_("Education offices"),
        required=False,
        help_text=_("None: all offices."),
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
    )
    schools = forms.CharField(
        label=_("Schools"),
        required=False,
        help_text=_("Codes or full names, one a line or separated by commas. None: all schools."),
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )
    encoding = forms.ChoiceField(label=_("Encoding"), required=False)
    header = forms.ChoiceField(label=_("Header"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["offices"].choices = [  # type: ignore[attr-defined]
            (office.code, str(office)) for office in Office.objects.all()
        ]
        as_fits = ("", gettext("What fits the reader"))
        for name, choices in (("encoding", Encoding.choices), ("header", HeaderStyle.choices)):
            field: Any = self.fields[name]
            field.choices = [as_fits, *choices]
            field.widget = widgets.UnfoldAdminSelectWidget(choices=field.choices)

    def clean_schools(self) -> list[str]:
        try:
            return _codes_of(self.cleaned_data["schools"])
        except UnknownSchools as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        audience = cleaned.get("audience")
        fitting = Form.for_machines() if audience == Audience.MACHINES else Form.for_people()
        cleaned["encoding"] = cleaned.get("encoding") or fitting.encoding
        cleaned["header"] = cleaned.get("header") or fitting.header
        return cleaned


_FIELDS = ("dataset", "weeks", "levels", "offices", "schools", "audience", "file_format",
           "encoding", "header")  # fmt: skip
_WIDGETS = {
    "name": widgets.UnfoldAdminTextInputWidget,
    "dataset": widgets.UnfoldAdminSelectWidget,
    "window_offset": widgets.UnfoldAdminIntegerFieldWidget,
    "weeks": widgets.UnfoldAdminIntegerFieldWidget,
    "audience": widgets.UnfoldAdminRadioSelectWidget,
    "file_format": widgets.UnfoldAdminSelectWidget,
}
_WEEKDAYS = [("*", _("All weekdays")), *((str(number % 7), WEEKDAYS[(number - 1) % 7])
                                      for number in range(1, 8))]  # fmt: skip


class ExportForm(ChoicesForm):
    first_monday = forms.DateField(
        label=_("First week"),
        required=False,
        help_text=_("Any day of the week. A school list has no weeks."),
        widget=forms.DateInput(
            format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(widgets.DATETIME_CLASSES)}
        ),
    )

    class Meta:
        model = Export
        fields = ("first_monday", *_FIELDS)
        widgets = _WIDGETS

    def clean_first_monday(self) -> date | None:
        day: date | None = self.cleaned_data["first_monday"]
        return monday_of(day) if day else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("dataset") == Dataset.TIMETABLE and cleaned.get("first_monday", "") is None:
            self.add_error("first_monday", _("Timetables are exported by weeks."))
        return cleaned


class ScheduleForm(ChoicesForm):
    weekday = forms.ChoiceField(
        label=_("Day"), choices=_WEEKDAYS, initial="1", widget=widgets.UnfoldAdminSelectWidget
    )
    at = forms.TimeField(
        label=_("Time"),
        initial=time(7),
        help_text=_("In Korean time."),
        widget=forms.TimeInput(
            format="%H:%M", attrs={"type": "time", "class": " ".join(widgets.DATETIME_CLASSES)}
        ),
    )
    enabled = forms.BooleanField(
        label=_("On"), required=False, initial=True, widget=widgets.UnfoldBooleanWidget
    )

    class Meta:
        model = ExportSchedule
        fields = ("name", "window_offset", *_FIELDS)
        widgets = _WIDGETS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["schools"] = ", ".join(self.instance.schools)
        task = self.instance.periodic_task
        if task is not None and task.crontab:
            self.initial = {
                **self.initial,
                "weekday": task.crontab.day_of_week,
                "at": f"{int(task.crontab.hour):02}:{int(task.crontab.minute):02}",
                "enabled": task.enabled,
            }


def _codes_of(text: str) -> list[str]:
    """The codes of schools that are written as codes or names. Raises UnknownSchools."""
    wanted = list(dict.fromkeys(part.strip() for part in re.split(r"[,\n]", text) if part.strip()))
    if not wanted:
        return []
    codes = set(School.objects.filter(code__in=wanted).values_list("code", flat=True))
    by_name: dict[str, list[School]] = {}
    for school in School.objects.filter(name__in=wanted).select_related("office"):
        by_name.setdefault(school.name, []).append(school)
    for name in wanted:
        if name not in codes:
            codes.add(_only(name, by_name.get(name, [])).code)
    return sorted(codes)


def _only(name: str, schools: Sequence[School]) -> School:
    if len(schools) == 1:
        return schools[0]
    if not schools:
        raise UnknownSchools(gettext("There is no school “%(name)s”.") % {"name": name})
    several = ", ".join(f"{school.code} ({school.office.name})" for school in schools[:10])
    raise UnknownSchools(
        gettext("Several schools are called “%(name)s”; write the code: %(schools)s")
        % {"name": name, "schools": several}
    )
