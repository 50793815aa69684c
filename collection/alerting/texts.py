"""What a message says: what is the matter, since when, and what to do."""

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from collection.models import Alert, AlertEvent, AlertKind, ErrorClass


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    body: str


_WHAT_TO_DO = {
    AlertKind.FAILURES: gettext_lazy(
        "Open the failures, read what the class of error means, and retry them."
    ),
    AlertKind.LATE: gettext_lazy("Look at the run: what it waits for is shown there."),
    AlertKind.MISSED: gettext_lazy(
        "Start the job by hand if its data is needed before it is due again."
    ),
    AlertKind.QUOTA: gettext_lazy(
        "Nothing has to be done: the runs go on at midnight in Korea. Another key would let them "
        "go on at once."
    ),
    AlertKind.KEYS: gettext_lazy("Check NEIS_API_KEYS, restart the workers, then resume the runs."),
    AlertKind.GUARD: gettext_lazy(
        "Look at the held weeks of the run. If schools really have no lessons, accept them and "
        "resume the run; if not, cancel it."
    ),
    AlertKind.HELD: gettext_lazy("Compare old and new, then accept or reject them."),
    AlertKind.OUTAGE: gettext_lazy(
        "Nothing has to be done: NEIS is asked again from time to time, and the runs go on by "
        "themselves."
    ),
    AlertKind.STALLED: gettext_lazy("Check that workers run and reach the broker; restart them."),
    AlertKind.SCHEDULER: gettext_lazy("Restart the scheduler: celery -A config beat."),
    AlertKind.TEST: gettext_lazy("Nothing has to be done: messages arrive."),
}


def text_of(alert: Alert, event: str) -> Text:
    """In the language of the installation: nobody knows who will read it."""
    with translation.override(settings.LANGUAGE_CODE):
        kind = AlertKind(alert.kind)
        title = _title(alert, kind)
        if event == AlertEvent.CLOSED:
            return Text(_("Well again: %(what)s") % {"what": title}, _link(alert))
        lines = [_since(alert), str(_WHAT_TO_DO[kind]), _link(alert)]
        return Text(title, "\n".join(line for line in lines if line))


def _title(alert: Alert, kind: AlertKind) -> str:
    what = str(kind.label)
    if kind is AlertKind.FAILURES:
        what = _("%(count)s of %(of)s schools failed: %(error)s") % {
            "count": f"{alert.count:,}",
            "of": f"{alert.of:,}",
            "error": ErrorClass(alert.error_class).label,
        }
    elif kind is AlertKind.HELD:
        what = _("%(count)s held weeks wait for a decision") % {"count": f"{alert.count:,}"}
    about = " ".join(str(thing) for thing in (alert.job, alert.run) if thing)
    return f"{about}: {what}" if about else what


def _since(alert: Alert) -> str:
    if alert.since is None:
        return ""
    return _("Since %(time)s.") % {"time": f"{timezone.localtime(alert.since):%Y-%m-%d %H:%M}"}


def _link(alert: Alert) -> str:
    if not settings.CONSOLE_URL:
        return ""
    name, arguments = ("run-detail", [alert.run_id]) if alert.run_id else ("overview", [])
    return settings.CONSOLE_URL + reverse(f"dashboard:{name}", args=arguments)
