"""One attempt at one school, or at the list: claim, ask, store, or say what went wrong."""

import logging
import random
import time
import traceback
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from collection import breaker, claiming, probing, runs, school_list, storage, upstream
from collection.claiming import AnyClaim, Claim, ClaimLost, Failure, ListClaim
from collection.clock import database_now
from collection.deciding import HoldRule
from collection.models import UPSTREAM_FAULTS, ErrorClass, FetchState, SchoolListSync
from collection.neis import Answer, KeyMissing, Malformed, NeisError, Throttled
from collection.neis.redaction import Redactor
from collection.normalising import Normalised, normalise
from collection.retrying import Fail, Pause, Retry, RetryRule, Verdict, classify, judge

logger = logging.getLogger(__name__)

# Longer waits are left to the pump: a message that waits sits in the memory of a worker.
MOST_COUNTDOWN_SECONDS = 120
_STORE_AGAIN_AFTER_SECONDS = (0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` is None when there was nothing to do; `retry_in_seconds` asks for a message."""

    state: FetchState | None
    retry_in_seconds: float | None = None
    error: str = ""


NOTHING_TO_DO = Outcome(state=None)


def fetch_school(fetch_id: int, *, worker: str, task_id: uuid.UUID | None) -> Outcome:
    try:
        claim = claiming.claim(
            fetch_id, worker=worker, task_id=task_id, lease_seconds=settings.FETCH_LEASE_SECONDS
        )
    except (OperationalError, InterfaceError):
        # Nothing was begun: the pump will find the fetch waiting.
        connection.close()
        logger.warning("The database is away: fetch %s waits.", fetch_id)
        return NOTHING_TO_DO
    if claim is None:
        return NOTHING_TO_DO
    # Asking takes seconds, storing milliseconds: others can use the connection in between.
    connection.close()
    try:
        return _refresh_list(claim) if isinstance(claim, ListClaim) else _work(claim)
    except ClaimLost:
        logger.info("Fetch %s has another owner by now; nothing was written.", fetch_id)
        return NOTHING_TO_DO
    except (OperationalError, InterfaceError) as error:
        connection.close()
        return _put_off_for_database(claim, error)
    except Exception as error:
        connection.close()
        return _settle(claim, error, traceback.format_exc())


def _refresh_list(claim: ListClaim) -> Outcome:
    deadline = time.monotonic() + settings.FETCH_DEADLINE_SECONDS
    listing = school_list.ask(upstream.client(), offices=claim.offices, deadline=deadline)
    if claim.probe:
        breaker.close()
    now = database_now()
    try:
        school_list.store(
            listing,
            record=SchoolListSync(offices=list(claim.offices), started_at=now),
            now=now,
            least_share=settings.REFUSE_LIST_BELOW_SHARE,
            claim=claim,
        )
    except school_list.ListRefused as error:
        failure = Failure(ErrorClass.LIST_REFUSED, str(error), requests=listing.requests)
        claiming.fail(claim, failure)
        return Outcome(FetchState.FAILED, None, failure.message)
    return Outcome(FetchState.SUCCEEDED)


def _work(claim: Claim) -> Outcome:
    service, answer, requests = _ask(claim)
    if claim.probe:
        breaker.close()
    try:
        normalised = normalise(
            answer.rows,
            office_code=claim.office_code,
            school_code=claim.school_code,
            mondays=claim.mondays,
        )
    except NeisError as error:
        error.requests = requests
        raise
    return Outcome(_store(claim, normalised, service=service, requests=requests))


def _ask(claim: Claim) -> tuple[str, Answer, int]:
    """The first of the school's services that has rows, and the requests it took to find it."""
    deadline = time.monotonic() + settings.FETCH_DEADLINE_SECONDS
    requests = 0
    for service in claim.services:
        try:
            answer = upstream.client().of_school(
                service,
                office_code=claim.office_code,
                school_code=claim.school_code,
                first=claim.mondays[0],
                last=claim.mondays[-1] + timedelta(days=6),
                deadline=deadline,
            )
        except NeisError as error:
            error.requests += requests
            raise
        requests += answer.requests
        if not answer.complete:
            raise KeyMissing(
                f"Without an API key NEIS gives {len(answer.rows)} of {answer.total} rows."
            )
        if answer.rows:
            return service, answer, requests
    return claim.services[0], answer, requests


def _store(claim: Claim, normalised: Normalised, *, service: str, requests: int) -> FetchState:
    """The answer is in hand: a database that is away for a moment is no reason to ask again."""
    for pause in (*_STORE_AGAIN_AFTER_SECONDS, None):
        try:
            return storage.store(
                claim, normalised, service=service, requests=requests, rule=hold_rule()
            )
        except (OperationalError, InterfaceError):
            connection.close()
            if pause is None:
                raise
            time.sleep(pause)
    raise AssertionError


def _settle(claim: AnyClaim, error: Exception, trace: str) -> Outcome:
    failure = _describe(error, trace)
    if failure.error_class is ErrorClass.BUG:
        logger.error("Fetch %s: %s\n%s", claim.fetch_id, failure.message, failure.traceback)
    try:
        verdict = _judge(claim, error)
        outcome = _carry_out(claim, failure, verdict)
        if failure.error_class in UPSTREAM_FAULTS:
            probing.look_into(failure.error_class, school_id=_school_of(claim))
        return outcome
    except (OperationalError, InterfaceError):
        # The lease runs out, and the pump takes the fetch back.
        connection.close()
        return NOTHING_TO_DO


def _judge(claim: AnyClaim, error: Exception) -> Verdict:
    return judge(
        error,
        failures=claim.failures,
        throttled=claiming.times_throttled(claim) if isinstance(error, Throttled) else 0,
        outage=_in_outage(claim, error),
        rule=RetryRule(settings.FETCH_MAX_FAILURES, settings.FETCH_RETRY_SECONDS),
        chance=random.random(),
    )


def _in_outage(claim: AnyClaim, error: Exception) -> bool:
    """A fault of a probe costs nothing, whatever it leads to: the outage may end as it is told."""
    if not isinstance(error, NeisError):
        return False
    if not claim.probe:
        return breaker.was_down_during(claim.fetch_id)
    if probing.answered(error):
        breaker.close()
        return False
    probing.settle(_school_of(claim))
    return True


def _school_of(claim: AnyClaim) -> int | None:
    return claim.school_id if isinstance(claim, Claim) else None


def _carry_out(claim: AnyClaim, failure: Failure, verdict: Verdict) -> Outcome:
    match verdict:
        case Retry(after_seconds, counts):
            soon = after_seconds <= MOST_COUNTDOWN_SECONDS
            kept = claiming.retry_later(
                claim, failure, after_seconds=after_seconds, counts=counts, published=soon
            )
            again = after_seconds if kept and soon else None
            return Outcome(FetchState.WAITING, again, failure.message)
        case Pause(reason):
            # In this order: once no fetch is running, nobody can pause the run any more.
            runs.pause(claim.run_id, reason=reason)
            claiming.retry_later(claim, failure, after_seconds=0, counts=False, published=False)
            return Outcome(FetchState.WAITING, None, failure.message)
        case Fail():
            claiming.fail(claim, failure)
            return Outcome(FetchState.FAILED, None, failure.message)


def _put_off_for_database(claim: AnyClaim, error: Exception) -> Outcome:
    failure = Failure(ErrorClass.DATABASE, type(error).__name__)
    verdict = Retry(settings.FETCH_RETRY_SECONDS, counts=False)
    try:
        return _carry_out(claim, failure, verdict)
    except (OperationalError, InterfaceError):
        connection.close()
        return NOTHING_TO_DO


def _describe(error: Exception, trace: str) -> Failure:
    redact = Redactor(settings.NEIS_API_KEYS)
    error_class = classify(error)
    message = str(error) or type(error).__name__
    if isinstance(error, Malformed) and error.sample:
        message = f"{message} It begins: {error.sample}"
    return Failure(
        error_class=error_class,
        message=_storable(redact(message)),
        code=getattr(error, "code", ""),
        traceback=_storable(redact(trace)) if error_class is ErrorClass.BUG else "",
        requests=getattr(error, "requests", 0),
    )


def _storable(text: str) -> str:
    return text.replace("\0", "\\0")


def hold_rule() -> HoldRule:
    again = settings.HOLD_AGAIN_SECONDS
    return HoldRule(
        below_share=settings.HOLD_BELOW_SHARE,
        from_entries=settings.HOLD_FROM_ENTRIES,
        agree_after=timedelta(seconds=settings.HOLD_AGREE_SECONDS),
        ask_again_after=timedelta(seconds=again) if again else None,
    )
