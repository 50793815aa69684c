"""Every text of the product has a Korean one, and what is compiled is what is written."""

import gettext
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

LOCALE = Path("locale/ko/LC_MESSAGES/django.po")
PACKAGES = Path("locale/packages/ko/LC_MESSAGES/django.po")

pytestmark = pytest.mark.skipif(
    not shutil.which("msgfmt") and not os.environ.get("REQUIRE_BROWSER"),
    reason="GNU gettext is not installed.",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources and what is translated of them, to be written to."""
    for name in ("collection", "config", "dashboard", "locale", "static", "templates"):
        shutil.copytree(settings.BASE_DIR / name, tmp_path / name)
    shutil.copy(settings.BASE_DIR / "manage.py", tmp_path)
    return tmp_path


def test_every_text_of_the_sources_is_translated(copy: Path) -> None:
    find = ["manage.py", "makemessages", "--locale", "ko", "--no-location", "--no-obsolete"]
    subprocess.run([sys.executable, *find], cwd=copy, check=True, capture_output=True)

    told = subprocess.run(
        ["msgfmt", "--check", "--statistics", "--output-file", os.devnull, copy / LOCALE],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stderr

    assert "untranslated" not in told
    assert "fuzzy" not in told


@pytest.mark.parametrize("path", [LOCALE, PACKAGES], ids=["ours", "packages"])
def test_compiled_texts_are_the_written_ones(path: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "django.mo"
    source = settings.BASE_DIR / path
    subprocess.run(["msgfmt", "--check", "--output-file", compiled, source], check=True)

    assert _texts(source.with_suffix(".mo")) == _texts(compiled)


def _texts(path: Path) -> dict[object, str]:
    with path.open("rb") as file:
        texts = dict(gettext.GNUTranslations(file)._catalog)
    # The head has the time of the last look for texts.
    del texts[""]
    return texts
