"""Stored data as files, streamed out of PostgreSQL: memory stays flat whatever the number of rows.

A file appears when it is whole. It comes from one snapshot of the database, and its manifest says
what is in it, what is not, and why.
"""

from .files import Progress, dumped, write_file
from .form import Form
from .manifest import Manifest
from .selection import Selection, collected_weeks, expected_rows

__all__ = [
    "Form",
    "Manifest",
    "Progress",
    "Selection",
    "collected_weeks",
    "dumped",
    "expected_rows",
    "write_file",
]
