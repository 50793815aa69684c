"""What the commands say when there is no key of NEIS."""

from typing import Protocol

from django.utils.translation import gettext as _


class _Writer(Protocol):
    def write(self, msg: str) -> object: ...


def say_that_keys_are_missing(out: _Writer) -> None:
    out.write(
        _(
            "There is no API key, so nothing was collected. Without a key NEIS gives the first "
            "five rows of any answer and no more: five rows are a sample, not a timetable. "
            "Apply for a key at open.neis.go.kr and put it into NEIS_API_KEYS."
        )
    )
