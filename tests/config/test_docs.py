"""The tables of the documentation leave nothing out."""

import re

import pytest
from django.conf import settings
from django.utils import translation

from collection.models import AlertKind, ErrorClass

ROOT = settings.BASE_DIR


def _first_cells(path: str) -> set[str]:
    """The names in code type that the rows of a file's tables begin with."""
    rows = re.findall(r"^\| (`[^|]*?) \|", (ROOT / path).read_text(), flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_setting_has_a_row() -> None:
    source = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'environment\.\w+\(\s*"([A-Z0-9_]+)"', source))

    assert _first_cells("docs/settings.md") == read


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_every_class_of_error_has_a_row(readme: str) -> None:
    assert set(ErrorClass.values) <= _first_cells(readme)


def test_every_alert_says_what_to_do() -> None:
    told = (ROOT / "docs" / "deploy.md").read_text()
    with translation.override("en"):
        missing = [kind.label for kind in AlertKind if f"\n| {kind.label} |" not in told]

    assert missing == [AlertKind.TEST.label]
