"""Guards of the product, each with the way to switch it off, to see that its scenario notices."""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any


def fence() -> None:
    from collection import storage

    storage._FENCE = "SELECT now() FROM collection_schoolfetch WHERE id = %s AND %s > 0 FOR UPDATE"


def claim_check() -> None:
    """A message is taken at its word."""
    from collection import claiming

    claiming._CLAIM = (
        claiming._CLAIM.replace("AND item.state = 'waiting'", "")
        .replace("AND (item.next_attempt_at IS NULL OR item.next_attempt_at <= now())", "")
        .replace("AND run.state = 'running'", "")
    )


def leases() -> None:
    from collection import claiming

    claiming.expire_leases = lambda **_: 0


def republishing() -> None:
    from collection import pumping

    pumping._PUBLISH = pumping._PUBLISH.replace(f"OR {pumping._OVERDUE}", "")


def one_transaction() -> None:
    from collection import storage

    class Apart:
        @staticmethod
        def atomic() -> Any:
            return contextlib.nullcontext()

    storage.transaction = Apart


def safe_results() -> None:
    """The stock backend, outcomes of all tasks kept, acknowledged late."""
    from collection import tasks
    from config.celery import app

    app.conf.result_backend = "django-db"
    app.conf.task_acks_late = True
    tasks.fetch_school.acks_late = True


def health_checks() -> None:
    from config.postgresql.base import DatabaseWrapper

    del DatabaseWrapper.get_new_connection


def store_again() -> None:
    """A database that is away for a moment costs the attempt."""
    from collection import fetching

    fetching._STORE_AGAIN_AFTER_SECONDS = ()
    fetching._put_off_for_database = lambda claim, error: fetching._settle(claim, error, "")


def hold_rule() -> None:
    from collection import storage
    from collection.deciding import Decision

    decide = storage.decide

    @functools.wraps(decide)
    def never_hold(**given: Any) -> Decision:
        decision = decide(**given)
        return Decision.REPLACE if decision is Decision.HOLD else decision

    storage.decide = never_hold


def totals() -> None:
    """Pages are not counted, and one may repeat another."""
    from collection.neis import client

    class Blind(client._Asking):
        def whole_answer(self) -> Any:
            first = self._page(1)
            pages = [first]
            last = -(-first.total // client.PAGE_SIZE)
            pages += [self._page(number) for number in range(2, last + 1)]
            rows = client.join([page.rows for page in pages])
            return client.Answer(rows=rows, total=len(rows), requests=self.requests)

    client._Asking = Blind


def redaction() -> None:
    """No masks, and the loggers that print addresses are let loose."""
    from collection.neis import redaction

    redaction.Redactor.__call__ = lambda self, text: text
    for name in ("urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def deadline() -> None:
    """Only the time-outs of single reads are left, and no body is too large."""
    from collection.neis import client, connections

    read_body = client._read_body
    client._read_body = lambda response, *, most_bytes: read_body(response, most_bytes=10**12)
    client.reading_until = lambda end: connections.reading_until(end + 3600)


def pausing() -> None:
    """A key that is refused or spent costs every fetch an attempt."""
    from collection import retrying

    retrying.KeySpent = retrying.KeyRefused = type("Never", (Exception,), {})


def school_list_share() -> None:
    from django.conf import settings

    settings.REFUSE_LIST_BELOW_SHARE = 0.0


def key_check() -> None:
    """Five rows of any number are taken for all of them."""
    from collection.neis import answers

    answers.Answer.complete = property(lambda self: True)


OFF: dict[str, Callable[[], None]] = {
    check.__name__: check
    for check in (
        fence, claim_check, leases, republishing, one_transaction, safe_results, health_checks,
        store_again, hold_rule, totals, redaction, deadline, pausing, school_list_share, key_check,
    )
}  # fmt: skip

NEGATIVE: tuple[tuple[str, str], ...] = (
    ("F01", "leases"),
    ("F02", "one_transaction"),
    ("F04", "fence"),
    ("F06", "republishing"),
    ("F10", "claim_check"),
    ("F11", "store_again"),
    ("F12", "safe_results"),
    ("F13", "health_checks"),
    ("F25", "pausing"),
    ("F26", "pausing"),
    ("F27", "key_check"),
    ("F28", "deadline"),
    ("F30", "totals"),
    ("F32", "hold_rule"),
    ("F33", "school_list_share"),
    ("F37", "redaction"),
)
"""Each must turn its scenario red."""
