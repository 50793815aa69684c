"""The log of changes: Django's own, with what each value was before and is after.

An entry's message is Django's JSON, which every stock page can read, and one member more that
they pass over: {"values": [[label, before, after], …]}. Labels and values are kept in English and
translated when they are shown.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, QuerySet
from django.utils.translation import gettext, gettext_noop, override

ON, OFF = gettext_noop("on"), gettext_noop("off")


@dataclass(frozen=True, slots=True)
class Change:
    """One value of a thing; `label` is the name of the field in English."""

    label: str
    before: str
    after: str


def change(label: str, before: object, after: object) -> Change:
    with override(None):
        return Change(label, _in_words(before), _in_words(after))


def record(
    user: AbstractBaseUser | AnonymousUser,
    thing: Model,
    *changes: Change,
) -> None:
    """Notes what somebody changed by an action; the forms of the admin note theirs themselves."""
    LogEntry.objects.log_actions(
        user_id=_key_of(user),
        queryset=[thing],
        action_flag=CHANGE,
        change_message=message_of(changes),
        single_object=True,
    )


def record_each(user_id: int, things: Sequence[Model], *changes: Change) -> None:
    """The same of many things of one kind, and by somebody who need not be at hand."""
    LogEntry.objects.log_actions(
        user_id=user_id,
        queryset=things,
        action_flag=CHANGE,
        change_message=message_of(changes),
    )


def _key_of(user: AbstractBaseUser | AnonymousUser) -> int:
    if user.pk is None:
        raise ValueError("Only who has logged in can change anything.")
    return int(user.pk)


def message_of(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"changed": {"fields": [one.label for one in changes]}},
        {"values": [[one.label, one.before, one.after] for one in changes]},
    ]


def values_of(entry: LogEntry) -> list[Change]:
    """In the reader's language; empty for entries that were written without values."""
    try:
        message = json.loads(entry.change_message)
    except ValueError:
        return []
    members = message if isinstance(message, list) else []
    return [
        Change(*(gettext(text) if text else "" for text in value))
        for member in members
        for value in member.get("values", [])
    ]


def changes_in(form: forms.BaseForm) -> list[Change]:
    """What a form changes, field by field. Passwords are named and never shown."""
    return [_change_in(form, name) for name in form.changed_data]


def _change_in(form: forms.BaseForm, name: str) -> Change:
    field = form.fields.get(name)
    with override(None):
        label = _label_of_field(form, name)
        if field is None or isinstance(field.widget, forms.PasswordInput):
            return Change(label, "", "")
        before = _as_chosen(field, form.get_initial_for_field(field, name))
        after = _as_chosen(field, form.cleaned_data.get(name))
        return Change(label, _in_words(before), _in_words(after))


def _label_of_field(form: forms.BaseForm, name: str) -> str:
    """As the model has it, where it does: a form writes it large, and then it has no translation."""
    if isinstance(form, forms.BaseModelForm):
        try:
            return str(getattr(form._meta.model._meta.get_field(name), "verbose_name", name))
        except FieldDoesNotExist:
            pass
    field = form.fields.get(name)
    return str(field.label or name) if field else name


def _as_chosen(field: forms.Field, value: Any) -> object:
    """What the keys of a choice stand for."""
    if isinstance(field, forms.ModelMultipleChoiceField):
        return value
    if isinstance(field, forms.ModelChoiceField):
        if value in (None, "") or isinstance(value, Model):
            return value
        return field.queryset.filter(pk=value).first() if field.queryset is not None else value
    if isinstance(field, forms.MultipleChoiceField):
        return [_label_of(field, member) for member in value or []]
    if isinstance(field, forms.ChoiceField):
        return _label_of(field, value)
    return value


def _label_of(field: forms.ChoiceField, value: Any) -> object:
    return {str(key): label for key, label in field.choices}.get(str(value), value)  # type: ignore[union-attr, misc]


def _in_words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return ON if value else OFF
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, list | QuerySet):
        return ", ".join(sorted(str(member) for member in value))
    return str(value)
