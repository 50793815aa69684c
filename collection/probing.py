"""Finds out whether NEIS is down, or only some schools of it fail."""

import time
from datetime import timedelta

from django.conf import settings
from django.db import connection

from collection import breaker, upstream
from collection.models import UPSTREAM_FAULTS, ErrorClass
from collection.neis import DeadlinePassed, NeisError, Throttled
from collection.retrying import classify

# Schools like the one that failed, of which NEIS had rows and answered lately: the same office
# and level first, then the same level, then any.
_KNOWN_GOOD = """
SELECT good.services[1], good.office_id, good.code, week.monday
  FROM collection_schoolweek AS week
  JOIN collection_school AS good ON good.id = week.school_id
  LEFT JOIN collection_school AS failed ON failed.id = %(school_id)s
 WHERE week.entries > 0 AND good.id IS DISTINCT FROM failed.id AND good.closed_at IS NULL
   AND week.monday > (SELECT max(monday) FROM collection_schoolweek) - 28
 ORDER BY (good.level = failed.level)::int + (good.office_id = failed.office_id)::int DESC,
          week.checked_at DESC
 LIMIT 1
"""


def look_into(fault: ErrorClass, *, school_id: int | None) -> None:
    """After a fault that was counted: opens the breaker when NEIS is down.

    `school_id` is None where the school list failed.
    """
    if breaker.suspect(fault):
        settle(school_id)


def settle(school_id: int | None) -> None:
    """Closes the breaker when NEIS answers for another school, and opens it when it does not."""
    if _answers(school_id):
        breaker.close()
    else:
        breaker.open_()


def answered(error: Exception) -> bool:
    """Whether an error is something that NEIS said, and not that it said nothing of use."""
    if not isinstance(error, NeisError) or isinstance(error, DeadlinePassed):
        return False
    if isinstance(error, Throttled) and not error.code:
        # By our own limit: nobody was asked.
        return False
    return classify(error) not in UPSTREAM_FAULTS


def _answers(school_id: int | None) -> bool:
    """Whether NEIS answers for a school that it had rows of; False when there is no such school."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN_GOOD, {"school_id": school_id})
        row = cursor.fetchone()
    connection.close()
    if row is None:
        return False
    service, office, school, monday = row
    try:
        upstream.client().of_school(
            service,
            office_code=office,
            school_code=school,
            first=monday,
            last=monday + timedelta(days=6),
            deadline=time.monotonic() + settings.FETCH_DEADLINE_SECONDS / 2,
        )
    except NeisError as error:
        return answered(error)
    return True
