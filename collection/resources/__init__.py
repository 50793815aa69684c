"""What the admin exports and imports through django-import-export: what is small.

Timetables go through `exporting`, which streams them.
"""

from .jobs import JobResource
from .ledger import FailureResource, RunResource, TaskResultResource
from .mixins import ExchangesRows, ExportsRows
from .schools import SchoolResource

__all__ = [
    "ExchangesRows",
    "ExportsRows",
    "FailureResource",
    "JobResource",
    "RunResource",
    "SchoolResource",
    "TaskResultResource",
]
