"""What an operator can do to runs and to the fetches of a run."""

from django.contrib.auth.models import AbstractUser
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from collection import audit, runs, starting
from collection.models import (
    OPEN_RUN_STATES,
    HeldState,
    HeldWeek,
    PauseReason,
    Run,
    RunState,
    SchoolFetch,
)
from dashboard.batches import Action, Refused
from dashboard.filtering import AnyRows
from dashboard.held import actions as held

OPERATE = "collection.operate_run"


def _pause(chosen: AnyRows, user: AbstractUser) -> str:
    paused = [run for run in chosen if runs.pause(run.pk, reason=PauseReason.OPERATOR)]
    for run in paused:
        _note_state(user, run, RunState.PAUSED)
    return _touched_runs(paused, ngettext("%(n)s run paused:", "%(n)s runs paused:", len(paused)))


def _resume(chosen: AnyRows, user: AbstractUser) -> str:
    resumed = [run for run in chosen if runs.resume(run.pk)]
    for run in resumed:
        _note_state(user, run, RunState.RUNNING)
    text = ngettext("%(n)s run resumed:", "%(n)s runs resumed:", len(resumed))
    return _touched_runs(resumed, text)


def _cancel(chosen: AnyRows, user: AbstractUser) -> str:
    """What was stored stays; the number is that of the schools that are not collected any more."""
    ended = {run: runs.cancel(run.pk) for run in chosen}
    # One that ended by itself in the meantime is not among them.
    still = set(Run.objects.filter(pk__in=[run.pk for run in ended], state=RunState.CANCELLED))
    cancelled = {run: schools for run, schools in ended.items() if run in still}
    for run, schools in cancelled.items():
        _note_state(
            user, run, RunState.CANCELLED, audit.change(gettext_noop("open schools"), schools, 0)
        )
    text = ngettext(
        "%(n)s run cancelled, %(schools)s schools are not collected any more:",
        "%(n)s runs cancelled, %(schools)s schools are not collected any more:",
        len(cancelled),
    )
    count = f"{sum(cancelled.values()):,}"
    return _with_links(text % {"n": len(cancelled), "schools": count}, list(cancelled))


def _note_state(user: AbstractUser, run: Run, after: RunState, *others: audit.Change) -> None:
    """`run` is as it was before."""
    before = RunState(run.state)
    audit.record(user, run, audit.change("state", before.label, after.label), *others)


def _retry_failed_of(chosen: AnyRows, user: AbstractUser) -> str:
    return _retry(SchoolFetch.objects.filter(run__in=chosen), user)


def _retry(chosen: AnyRows, user: AbstractUser) -> str:
    try:
        started = starting.retry(chosen, now=timezone.now(), started_by=user)
    except starting.NotStarted as refusal:
        raise Refused(str(refusal)) from refusal
    _note_retries(started, user)
    count = SchoolFetch.objects.filter(run__in=started).count()
    text = ngettext("%(n)s school is tried again:", "%(n)s schools are tried again:", count)
    return _with_links(text % {"n": f"{count:,}"}, started)


def _note_retries(started: list[Run], user: AbstractUser) -> None:
    """One entry for each run whose schools failed and each run that tries them again."""
    linked = (
        SchoolFetch.objects.filter(retried_by__run__in=started)
        .order_by()
        .values_list("run", "retried_by__run")
        .annotate(count=Count("id"))
    )
    failed_runs = Run.objects.in_bulk([run_id for run_id, _by, _count in linked])
    for run_id, by, count in linked:
        audit.record(
            user,
            failed_runs[run_id],
            audit.change(gettext_noop("failed schools"), count, 0),
            audit.change(gettext_noop("retried by run"), "", f"#{by}"),
        )


def _has_failed(chosen: AnyRows) -> AnyRows:
    return chosen.exclude(state__in=OPEN_RUN_STATES).filter(
        pk__in=starting.retryable(SchoolFetch.objects.filter(run__in=chosen)).values("run")
    )


def _has_held(fetches: AnyRows) -> AnyRows:
    return fetches.filter(
        held_weeks__state=HeldState.WAITING, held_weeks__decided_at__isnull=True
    ).distinct()


def _held_weeks_of(fetches: AnyRows) -> AnyRows:
    return HeldWeek.objects.filter(fetch__in=fetches.values("pk"))


def _touched_runs(touched: list[Run], text: str) -> str:
    return _with_links(text % {"n": len(touched)}, touched)


def _with_links(text: str, linked: list[Run]) -> SafeString:
    links = format_html_join(
        ", ",
        '<a href="{}">{}</a>',
        ((reverse("dashboard:run-detail", args=[run.pk]), str(run)) for run in linked),
    )
    return format_html("{} {}", text, links)


RUN_ACTIONS = (
    Action(
        name="retry",
        label=gettext_lazy("Retry failed schools"),
        permission=OPERATE,
        eligible=_has_failed,
        do=_retry_failed_of,
        icon="replay",
    ),
    Action(
        name="pause",
        label=gettext_lazy("Pause"),
        permission=OPERATE,
        eligible=lambda chosen: chosen.filter(state=RunState.RUNNING),
        do=_pause,
        icon="pause",
    ),
    Action(
        name="resume",
        label=gettext_lazy("Resume"),
        permission=OPERATE,
        eligible=lambda chosen: chosen.filter(state=RunState.PAUSED),
        do=_resume,
        icon="play_arrow",
    ),
    Action(
        name="cancel",
        label=gettext_lazy("Cancel"),
        permission=OPERATE,
        eligible=lambda chosen: chosen.filter(state__in=OPEN_RUN_STATES),
        do=_cancel,
        icon="block",
        warning=gettext_lazy(
            "A cancelled run can't be taken up again. What it has stored stays; schools that are "
            "not done yet are not collected."
        ),
        is_danger=True,
    ),
)

FETCH_ACTIONS = (
    Action(
        name="retry",
        label=gettext_lazy("Retry"),
        permission=OPERATE,
        eligible=starting.retryable,
        do=_retry,
        icon="replay",
    ),
    Action(
        name="accept",
        label=gettext_lazy("Accept held weeks"),
        permission=held.DECIDE,
        eligible=_has_held,
        do=lambda chosen, user: held.accept(_held_weeks_of(chosen), user),
        icon="check",
        warning=held.ACCEPT_WARNING,
    ),
    Action(
        name="reject",
        label=gettext_lazy("Reject held weeks"),
        permission=held.DECIDE,
        eligible=_has_held,
        do=lambda chosen, user: held.reject(_held_weeks_of(chosen), user),
        icon="close",
        warning=held.REJECT_WARNING,
    ),
)
