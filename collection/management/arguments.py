"""Arguments that several commands share."""

from argparse import ArgumentTypeError
from collections.abc import Iterable
from datetime import date

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from collection.models import Level, Office, School
from collection.planning import monday_of


class UnknownCodes(Exception):
    """Codes that stand in no list; the message says what to do."""


def add_selection(parser: CommandParser) -> None:
    parser.add_argument("--level", nargs="+", choices=Level.values, default=[], metavar="LEVEL",
                        help=f"{', '.join(Level.values)}")  # fmt: skip
    parser.add_argument("--office", nargs="+", default=[], metavar="CODE")
    parser.add_argument("--school", nargs="+", default=[], metavar="CODE")


def week(value: str) -> date:
    """The Monday of the week of a day."""
    try:
        return monday_of(date.fromisoformat(value))
    except ValueError:
        raise ArgumentTypeError(
            _("%(value)r is no date; write it as 2026-11-23.") % {"value": value}
        ) from None


def number_of_weeks(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= 53:
        raise ArgumentTypeError(_("%(value)r: write a number from 1 to 53.") % {"value": value})
    return int(value)


def check_codes(*, offices: Iterable[str], schools: Iterable[str]) -> None:
    """Raises UnknownCodes: a mistyped code must not look like an office without schools."""
    unknown = set(offices) - set(Office.objects.values_list("code", flat=True))
    wanted = set(schools)
    unknown |= wanted - set(School.objects.filter(code__in=wanted).values_list("code", flat=True))
    if unknown:
        codes = ", ".join(sorted(unknown))
        raise UnknownCodes(
            _("Unknown codes: %(codes)s. “python manage.py sync_schools” refreshes the lists.")
            % {"codes": codes}
        )
