"""Starts a run through the broker and follows it."""

import json
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NoReturn, Self

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError, connection
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from collection import breaker, heartbeats, pumping, runs, starting, stopping, tasks
from collection.management import arguments, progress
from collection.management.keys import say_that_keys_are_missing
from collection.models import FINAL_RUN_STATES, Breaker, FetchState, Job, Run, RunState, Trigger

SUCCESS, BAD_ARGUMENTS, ENDED_WITH_FAILURES, STOPPED_FOLLOWING = 0, 2, 3, 130
_LOOK_EVERY_SECONDS = 1.0


class _Interruption:
    """Notes Ctrl-C. As an exception it can get lost: one in a destructor goes nowhere.

    The second Ctrl-C is that exception all the same, for a glance that takes too long.
    """

    came = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: object) -> None:
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Command(BaseCommand):
    help = (
        "Collects timetables: starts a run and follows it to its end. "
        "Exit 0: all well; 3: ended with failed or held fetches, or cancelled; 2: bad arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--job", metavar="NAME", help="Levels, offices and weeks of a job.")
        arguments.add_selection(parser)
        parser.add_argument("--from", dest="first", type=arguments.week, metavar="YYYY-MM-DD",
                            help="A day of the first week; last week by default.")  # fmt: skip
        parser.add_argument("--weeks", type=arguments.number_of_weeks, metavar="N",
                            help="3 by default.")  # fmt: skip
        parser.add_argument("--follow", type=int, metavar="RUN", help="Follow a run that is on.")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, follow: int | None, as_json: bool, **options: Any) -> None:
        run = self._find(follow) if follow else self._start(**options)
        if not self._attend(run):
            self.stderr.write(
                _(
                    "Stopped following; run %(run)s goes on without this window. "
                    "Follow it again: python manage.py collect --follow %(run)s"
                )
                % {"run": run.pk}
            )
            sys.exit(STOPPED_FOLLOWING)
        run.refresh_from_db()
        self._report(run, as_json)
        sys.exit(SUCCESS if run.state == RunState.COMPLETED else ENDED_WITH_FAILURES)

    def _find(self, run_id: int) -> Run:
        run = Run.objects.filter(pk=run_id).first()
        if run is None:
            self._refuse(_("There is no run %(run)s.") % {"run": run_id})
        return run

    def _start(
        self,
        *,
        job: str | None,
        level: list[str],
        office: list[str],
        school: list[str],
        first: date | None,
        weeks: int | None,
        **options: Any,
    ) -> Run:
        if not settings.NEIS_API_KEYS:
            say_that_keys_are_missing(self.stderr)
            sys.exit(BAD_ARGUMENTS)
        now = timezone.now()
        try:
            arguments.check_codes(offices=office, schools=school)
            template = Job.objects.get(name=job) if job else Job()
        except arguments.UnknownCodes as error:
            self._refuse(str(error))
        except Job.DoesNotExist:
            names = ", ".join(Job.objects.values_list("name", flat=True)) or "–"
            message = _("There is no job %(job)r. There are: %(names)s")
            self._refuse(message % {"job": job, "names": names})
        plan = starting.plan_of(template, now)
        plan = replace(
            plan,
            first_monday=first or plan.first_monday,
            weeks=weeks or plan.weeks,
            levels=level or plan.levels,
            offices=office or plan.offices,
            schools=school,
        )
        try:
            if template.pk:
                return starting.start_of_job(template, plan, trigger=Trigger.MANUAL, now=now)
            return starting.start(plan, trigger=Trigger.MANUAL, now=now)
        except starting.NoSchools:
            self._refuse(_("No school matches. “python manage.py sync_schools” fetches the list."))
        except starting.AlreadyOpen as error:
            follow = _("Follow it: python manage.py collect --follow %(run)s")
            self._refuse(f"{error} {follow % {'run': error.run.pk}}")

    def _warn_of_silence(self) -> None:
        if not tasks.workers():
            self.stderr.write(_("No worker answers. Start one: celery -A config worker -P threads"))
        if heartbeats.is_silent(heartbeats.SCHEDULER):
            self.stderr.write(
                _(
                    "No scheduler is at work. While this command follows, it does its part; "
                    "start one for good: celery -A config beat"
                )
            )

    def _attend(self, run: Run) -> bool:
        """To the end of the run; False when Ctrl-C came before."""
        with suppress(KeyboardInterrupt), _Interruption() as interruption:
            # Before anybody is waited for: the workers begin at once.
            self._pump()
            self._warn_of_silence()
            return self._follow(run, interruption)
        return False

    def _follow(self, run: Run, interruption: _Interruption) -> bool:
        with progress.bar() as bar:
            task = bar.add_task(f"#{run.pk}", total=None, note="")
            while not interruption.came:
                state, note = self._look(run, bar, task)
                if state in FINAL_RUN_STATES:
                    return True
                bar.update(task, note=note)
                time.sleep(_LOOK_EVERY_SECONDS)
        return False

    def _look(self, run: Run, bar: Any, task: Any) -> tuple[str, str]:
        """One glance; a server that is away for a while does not end the following."""
        away = self._pump()
        try:
            run.refresh_from_db()
            totals = runs.totals(run.pk)
            notes = [away] if away else [*_standstill(), *_notes(run, totals)]
        except OperationalError:
            connection.close()
            return "", _("the database is away")
        bar.update(task, total=totals.planned, completed=totals.done)
        return run.state, " · ".join(notes)

    def _pump(self) -> str:
        """One stroke; tells what is away, if anything is."""
        try:
            pumping.pump(publish=tasks.publish, queued=tasks.queued)
        except BrokerError:
            return _("the broker is away")
        except OperationalError:
            connection.close()
            return _("the database is away")
        return ""

    def _report(self, run: Run, as_json: bool) -> None:
        totals = runs.totals(run.pk)
        seconds = ((run.finished_at or timezone.now()) - run.created_at).total_seconds()
        if as_json:
            report = {
                "run": run.pk,
                "state": run.state,
                "fetches": totals.fetches,
                "entries": totals.entries,
                "requests": totals.requests,
                "retries": totals.retries,
                "seconds": round(seconds, 3),
            }
            self.stdout.write(json.dumps(report))
            return
        self.stdout.write(f"#{run.pk}: {run.get_state_display()} ({seconds:,.1f} s)")
        for state, count in sorted(totals.fetches.items()):
            self.stdout.write(f"  {FetchState(state).label}: {count:,}")
        self.stdout.write(
            _(
                "  entries: %(received)s received = %(stored)s stored + %(unchanged)s unchanged "
                "+ %(held)s held + %(duplicate)s duplicate + %(rejected)s rejected; "
                "%(removed)s removed"
            )
            % {name: f"{count:,}" for name, count in totals.entries.items()}
        )
        self.stdout.write(
            _("  %(requests)s requests, %(retries)s retries")
            % {"requests": f"{totals.requests:,}", "retries": f"{totals.retries:,}"}
        )

    def _refuse(self, message: str) -> NoReturn:
        self.stderr.write(message)
        sys.exit(BAD_ARGUMENTS)


def _standstill() -> list[str]:
    """Why nothing is begun at present, in any run."""
    stopped, upstream = stopping.stopped_since(), breaker.state()
    reasons = []
    if stopped:
        reasons.append(
            _("All collecting is stopped since %(since)s.") % {"since": _moment(stopped)}
        )
    if upstream.down_since and upstream.state == Breaker.OPEN:
        since = _moment(upstream.down_since)
        reasons.append(
            _("NEIS is down since %(since)s; the run goes on by itself.") % {"since": since}
        )
    return reasons


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "Y-m-d H:i")


def _notes(run: Run, totals: runs.Totals) -> list[str]:
    notes = []
    if run.state == RunState.PAUSED:
        notes.append(f"{run.get_state_display()}: {run.get_pause_reason_display()}")
    return notes + [
        f"{state.label} {totals.fetches[state]}"
        for state in (FetchState.FAILED, FetchState.HELD)
        if totals.fetches.get(state)
    ]
