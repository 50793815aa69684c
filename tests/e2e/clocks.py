"""Processes whose clock is wrong, by libfaketime."""

import glob
from pathlib import Path

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
"""Of Debian's package faketime; empty where it is missing."""


def moved(hours: int, folder: Path) -> dict[str, str]:
    """The environment of a process whose clock is ahead, or behind, by so many hours; the right
    one where the library is missing. `folder` is for a module that the process loads first."""
    if not LIBRARY:
        return {}
    # That library takes the monotonic clock of time.sleep() for the one it has changed.
    (folder / "sitecustomize.py").write_text(
        "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds)\n"
    )
    return {
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": LIBRARY[0],
        "FAKETIME": f"{hours:+d}h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
