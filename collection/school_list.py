"""Brings offices and schools up to date with schoolInfo. No row is lost without being counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import transaction

from collection import claiming
from collection.claiming import ListClaim
from collection.classifying import classify
from collection.models import (
    Level,
    ListIssueKind,
    Office,
    School,
    SchoolListIssue,
    SchoolListSync,
)
from collection.neis import KeyMissing, NeisClient, NeisError
from collection.neis.rows import Row

# A school that is missing from one complete list may be back in the next.
CLOSED_AFTER_LISTS = 2
MOST_CODE_CHARACTERS = 10

# Column of School to field of schoolInfo; blanks around the values are NEIS's padding.
_COLUMNS = {
    "name": "SCHUL_NM",
    "english_name": "ENG_SCHUL_NM",
    "kind": "SCHUL_KND_SC_NM",
    "location": "LCTN_SC_NM",
    "founding": "FOND_SC_NM",
    "high_school_kind": "HS_SC_NM",
    "telephone": "ORG_TELNO",
    "homepage": "HMPG_ADRES",
}
_WRITTEN = (*_COLUMNS, "level", "services", "address", "founded_on", "loaded_on")

_LONGEST = {
    field.name: field.max_length
    for field in School._meta.fields
    if field.name in (*_COLUMNS, "address")
}

Identity = tuple[str, str]
"""Office code and school code."""


class ListRefused(Exception):
    """The list lost more schools than can be true; nothing was changed."""


@dataclass(slots=True)
class Reading:
    """The rows of a list, told apart."""

    offices: dict[str, str] = field(default_factory=dict)
    schools: dict[Identity, dict[str, Any]] = field(default_factory=dict)
    issues: list[tuple[ListIssueKind, Row]] = field(default_factory=list)


def read(rows: Iterable[Row]) -> Reading:
    """Of rows with the same code the first counts; the others are set aside, as are blank codes."""
    reading = Reading()
    for row in rows:
        office_code, school_code = _text(row, "ATPT_OFCDC_SC_CODE"), _text(row, "SD_SCHUL_CODE")
        if not office_code:
            reading.issues.append((ListIssueKind.BLANK_OFFICE, row))
            continue
        reading.offices.setdefault(office_code, _text(row, "ATPT_OFCDC_SC_NM"))
        if not school_code:
            reading.issues.append((ListIssueKind.BLANK_CODE, row))
        elif len(school_code) > MOST_CODE_CHARACTERS:
            reading.issues.append((ListIssueKind.LONG_CODE, row))
        elif (office_code, school_code) in reading.schools:
            reading.issues.append((ListIssueKind.DOUBLED_CODE, row))
        else:
            reading.schools[office_code, school_code] = _columns(row)
    return reading


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of the whole list, or of that of `offices`."""

    offices: Sequence[str]
    rows: Sequence[Row]
    requests: int


def sync(
    client: NeisClient, *, offices: Sequence[str] = (), now: datetime, least_share: float
) -> SchoolListSync:
    """Asks for the list and stores it. Raises ListRefused and the errors of NEIS."""
    record = SchoolListSync.objects.create(offices=list(offices), started_at=now)
    listing = ask(client, offices=offices)
    return store(listing, record=record, now=now, least_share=least_share)


def ask(
    client: NeisClient, *, offices: Sequence[str] = (), deadline: float | None = None
) -> Listing:
    """Raises the errors of NEIS, with the requests that were made until then."""
    rows: list[Row] = []
    requests = 0
    for office in offices or ("",):
        try:
            answer = client.schools(office, deadline=deadline)
        except NeisError as error:
            error.requests += requests
            raise
        requests += answer.requests
        if not answer.complete:
            raise KeyMissing(f"Without an API key NEIS gives {len(answer.rows)} of {answer.total}.")
        rows += answer.rows
    return Listing(offices, rows, requests)


def store(
    listing: Listing,
    *,
    record: SchoolListSync,
    now: datetime,
    least_share: float,
    claim: ListClaim | None = None,
) -> SchoolListSync:
    """All of the list in one transaction, which also ends the fetch of `claim`.

    Raises ListRefused when fewer than `least_share` of the open schools are still there, and
    ClaimLost when the claim is no longer good; the list stays as it was.
    """
    reading = read(listing.rows)
    with transaction.atomic():
        if claim is not None:
            claiming.hold(claim)
        refusal = _store(record, reading, listing.rows, listing.offices, now, least_share)
        if claim is not None and not refusal:
            claiming.finish_list(claim, requests=listing.requests, entries=_entries(record))
    if refusal:
        raise ListRefused(refusal)
    return record


def _entries(record: SchoolListSync) -> dict[str, int]:
    """The list as a fetch counts: received = stored + unchanged + rejected."""
    return {
        "received": record.received,
        "stored": record.added + record.changed,
        "unchanged": record.unchanged,
        "rejected": record.set_aside,
        "removed": record.closed,
    }


def _store(
    record: SchoolListSync,
    reading: Reading,
    rows: Sequence[Row],
    offices: Sequence[str],
    now: datetime,
    least_share: float,
) -> str:
    """Returns why the list was refused, or "". The row of the list says so either way."""
    known = School.objects.select_for_update()
    if offices:
        known = known.filter(office__in=offices)
    before = {(school.office_id, school.code): school for school in known}
    record.received, record.set_aside = len(rows), len(reading.issues)
    record.finished_at = now
    record.save()
    _keep_issues(record, reading)
    record.message = _reason_to_refuse(before, reading, least_share)
    record.refused = bool(record.message)
    if not record.refused:
        _store_offices(reading.offices)
        _store_schools(record, before, reading.schools, now)
        _note_missing(record, before, reading.schools, now)
    record.save()
    return record.message


def _reason_to_refuse(before: dict[Identity, School], reading: Reading, least_share: float) -> str:
    still_open = {identity for identity, school in before.items() if school.closed_at is None}
    kept = len(still_open & reading.schools.keys())
    if kept >= len(still_open) * least_share:
        return ""
    return (
        f"The list has {kept} of {len(still_open)} open schools; "
        f"at least {least_share:.0%} must be there. Nothing was changed."
    )


def _keep_issues(record: SchoolListSync, reading: Reading) -> None:
    SchoolListIssue.objects.bulk_create(
        SchoolListIssue(
            sync=record, kind=kind, name=_text(row, "SCHUL_NM")[:200], row=_without_nul(row)
        )
        for kind, row in reading.issues
    )


def _store_offices(offices: dict[str, str]) -> None:
    Office.objects.bulk_create(
        (Office(code=code, name=name[:100]) for code, name in offices.items()),
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["name"],
    )


def _store_schools(
    record: SchoolListSync,
    before: dict[Identity, School],
    listed: dict[Identity, dict[str, Any]],
    now: datetime,
) -> None:
    rows = []
    for identity, columns in listed.items():
        school = before.get(identity)
        rows.append(_school(identity, columns, school, now))
        if school is None:
            record.added += 1
        elif _differs(school, rows[-1]):
            record.changed += 1
        else:
            record.unchanged += 1
    School.objects.bulk_create(
        rows,
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["office", "code"],
        update_fields=[*_WRITTEN, "listed_at", "missed_lists", "closed_at"],
    )


def _school(
    identity: Identity, columns: dict[str, Any], before: School | None, now: datetime
) -> School:
    office_code, code = identity
    level, possible = classify(columns["kind"], columns["name"])
    services = [str(service) for service in possible]
    if before is not None and before.is_corrected:
        level, services = Level(before.level), before.services
    elif before is not None and set(before.services) == set(services):
        # Where several services are possible the first is the one that had rows.
        services = before.services
    return School(
        office_id=office_code,
        code=code,
        level=level,
        services=services,
        listed_at=now,
        missed_lists=0,
        closed_at=None,
        **columns,
    )


def _differs(before: School, after: School) -> bool:
    if before.closed_at is not None:
        return True
    return any(
        getattr(before, name) != getattr(after, name) for name in _WRITTEN if name != "loaded_on"
    )


def _note_missing(
    record: SchoolListSync,
    before: dict[Identity, School],
    listed: dict[Identity, dict[str, Any]],
    now: datetime,
) -> None:
    for identity, school in before.items():
        if identity in listed or school.closed_at is not None:
            continue
        school.missed_lists += 1
        record.missing += 1
        if school.missed_lists >= CLOSED_AFTER_LISTS:
            school.closed_at = now
            record.closed += 1
        school.save(update_fields=["missed_lists", "closed_at"])


def _columns(row: Row) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: _fitting(name, _text(row, wire_name)) for name, wire_name in _COLUMNS.items()
    }
    parts = (_text(row, "ORG_RDNMA"), _text(row, "ORG_RDNDA"))
    columns["address"] = _fitting("address", " ".join(part for part in parts if part))
    columns["founded_on"] = _date(_text(row, "FOND_YMD"))
    columns["loaded_on"] = _date(_text(row, "LOAD_DTM")[:8])
    return columns


def _text(row: Row, wire_name: str) -> str:
    """Without the blanks, byte order marks and U+0000 that NEIS's list has around its texts."""
    value = (row.get(wire_name) or "").replace("\0", "").replace("\ufeff", "")
    return value.replace("\u00a0", " ").strip()


def _fitting(column: str, value: str) -> str:
    return value[: _LONGEST[column]]


def _date(value: str) -> date | None:
    try:
        return datetime.strptime(value, "%Y%m%d").date()
    except ValueError:
        return None


def _without_nul(row: Row) -> dict[str, str | None]:
    return {name: value and value.replace("\0", "\\u0000") for name, value in row.items()}
