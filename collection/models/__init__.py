"""What is to be done and what is stored. Everything else can be lost."""

from collection.models.jobs import Job
from collection.models.keys import ApiKeyState
from collection.models.runs import (
    FINAL_RUN_STATES,
    OPEN_FETCH_STATES,
    OPEN_RUN_STATES,
    Attempt,
    AttemptOutcome,
    ErrorClass,
    FetchState,
    PauseReason,
    RejectedRow,
    Run,
    RunState,
    SchoolFetch,
    Trigger,
)
from collection.models.schools import (
    Level,
    ListIssueKind,
    Office,
    School,
    SchoolListIssue,
    SchoolListSync,
    TimetableService,
)
from collection.models.state import Heartbeat
from collection.models.timetables import HeldState, HeldWeek, SchoolWeek, TimetableEntry

__all__ = [
    "FINAL_RUN_STATES",
    "OPEN_FETCH_STATES",
    "OPEN_RUN_STATES",
    "ApiKeyState",
    "Attempt",
    "AttemptOutcome",
    "ErrorClass",
    "FetchState",
    "Heartbeat",
    "HeldState",
    "HeldWeek",
    "Job",
    "Level",
    "ListIssueKind",
    "Office",
    "PauseReason",
    "RejectedRow",
    "Run",
    "RunState",
    "School",
    "SchoolFetch",
    "SchoolListIssue",
    "SchoolListSync",
    "SchoolWeek",
    "TimetableEntry",
    "TimetableService",
    "Trigger",
]
