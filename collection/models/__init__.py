"""What is to be done and what is stored. Everything else can be lost."""

from collection.models.jobs import Dataset, Job, MissedPolicy, OverlapPolicy
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
    SkipReason,
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
from collection.models.state import Heartbeat, StopSwitch
from collection.models.timetables import HeldState, HeldWeek, SchoolWeek, TimetableEntry

__all__ = [
    "FINAL_RUN_STATES",
    "OPEN_FETCH_STATES",
    "OPEN_RUN_STATES",
    "ApiKeyState",
    "Attempt",
    "AttemptOutcome",
    "Dataset",
    "ErrorClass",
    "FetchState",
    "Heartbeat",
    "HeldState",
    "HeldWeek",
    "Job",
    "Level",
    "ListIssueKind",
    "MissedPolicy",
    "Office",
    "OverlapPolicy",
    "PauseReason",
    "RejectedRow",
    "Run",
    "RunState",
    "School",
    "SchoolFetch",
    "SchoolListIssue",
    "SchoolListSync",
    "SchoolWeek",
    "SkipReason",
    "StopSwitch",
    "TimetableEntry",
    "TimetableService",
    "Trigger",
]
