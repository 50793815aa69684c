"""What each class of error means for an operator: whose it is to mend, and what to do about it."""

from dataclasses import dataclass

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Blame(models.TextChoices):
    NEIS = "neis", _("NEIS")
    US = "us", _("Us")


@dataclass(frozen=True, slots=True)
class Advice:
    blame: Blame
    words: Promise


# By the value of ErrorClass.
ADVICE = {
    "timed_out": Advice(
        Blame.NEIS,
        _("NEIS is slow. Retry in an hour; if it goes on, lower the requests per second."),
    ),
    "connection_failed": Advice(
        Blame.NEIS,
        _("NEIS could not be reached. Look whether other sites can be; then retry."),
    ),
    "server_fault": Advice(
        Blame.NEIS,
        _("NEIS has a fault of its own. Retry later; after a day, tell the NEIS portal's Q&A."),
    ),
    "throttled": Advice(
        Blame.US,
        _("We ask too fast. Nothing is lost; lower the requests per second if it comes often."),
    ),
    "malformed": Advice(
        Blame.NEIS,
        _("NEIS sent something else, such as a maintenance page. Retry later; if it is always "
          "so, NEIS has changed: tell the developers."),
    ),
    "incomplete": Advice(
        Blame.NEIS,
        _("Rows were missing or came twice while NEIS loaded its tables. Retry; the stored week "
          "was left as it was."),
    ),
    "transient": Advice(
        Blame.NEIS,
        _("NEIS gave a code that nobody knows. Retry; if it stays, tell the developers the code."),
    ),
    "deadline": Advice(
        Blame.NEIS,
        _("The school took longer than a school may. Retry when NEIS is faster; a very large "
          "school may need a longer deadline."),
    ),
    "bad_request": Advice(
        Blame.US,
        _("NEIS refuses what we ask: most likely the school's code has changed. Collect the "
          "school list, then retry."),
    ),
    "key_missing": Advice(
        Blame.US, _("No API key is set. An administrator has to set NEIS_API_KEYS; then retry.")
    ),
    "key_spent": Advice(
        Blame.US,
        _("Every key is used up for today. It goes on by itself after midnight; more keys help."),
    ),
    "key_refused": Advice(
        Blame.US,
        _("NEIS refuses the key: it is wrong or blocked. Have it replaced, then resume the run."),
    ),
    "list_refused": Advice(
        Blame.NEIS,
        _("The new school list lacks too many schools, so that the old one was kept. Compare it "
          "with the NEIS portal, then collect it again."),
    ),
    "database": Advice(
        Blame.US, _("Our database was away. Look at the server's health; then retry.")
    ),
    "lost": Advice(
        Blame.US,
        _("The worker ended in the middle, as in a restart. Retry; if it comes often, look at "
          "the memory of the server."),
    ),
    "crashed": Advice(
        Blame.US,
        _("The worker ended each time it came to this school. Don't retry at once: tell the "
          "developers which school it is."),
    ),
    "bug": Advice(
        Blame.US,
        _("A fault in the program. Send the developers the traceback; retry after an update."),
    ),
}  # fmt: skip
_UNKNOWN = Advice(Blame.US, _("Nothing is known about this class. Tell the developers."))
OTHER_TASKS = Advice(
    Blame.US, _("Open the task to see its traceback. A scheduled task runs again by itself.")
)


def advice_on(error_class: str) -> Advice:
    return ADVICE.get(error_class, _UNKNOWN)
