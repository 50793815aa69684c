"""The main job, from nothing to a CSV, against the emulator."""

import json
import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db.models import Count
from django.utils.translation import gettext as _

from collection.models import Attempt, ErrorClass, FetchState, Run, SchoolFetch
from collection.neis_emulator import Fault, World, all_transient
from config import console_user, embedded
from config.processes import Processes, scheduler, worker

OFFICE, SCHOOLS, SEED = "T10", 120, 2026
FIRST_WEEK, WEEKS = "2026-05-18", 3
KEY = "demo-key"
COLLECT_FAILED_FETCHES = 3


class Command(BaseCommand):
    help = "Collects a small province from the emulator, with faults, and ends by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        local = settings.BASE_DIR / ".local"
        self._say(_("1. PostgreSQL and Redis"))
        embedded.start(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)
        call_command("migrate", verbosity=0)
        console_user.ensure(local / "console_password")
        with Processes(local / "logs") as processes:
            self._say(_("2. The emulator of NEIS, with every transient fault switched on"))
            faults = local / "demo_faults.json"
            faults.write_text(json.dumps(self._faults()))
            emulator = processes.start_and_read("emulator", self._emulator(str(faults)))
            self._point_at(emulator["base_url"])
            self._say(_("3. The school list"))
            self._manage("sync_schools", "--office", OFFICE)
            self._say(_("4. A worker and a scheduler collect three weeks of every school"))
            processes.start("worker", worker())
            processes.start("beat", scheduler())
            processes.watch(seconds=3)
            window = ["--from", FIRST_WEEK, "--weeks", str(WEEKS), "--office", OFFICE]
            outcome = self._manage("collect", *window, expect=(0, COLLECT_FAILED_FETCHES))
        self._say(_("5. What came of it"))
        self._show_failures()
        self._say(_("6. The CSV"))
        self._manage("export_timetables", *window, "--output", str(local / "demo.csv"))
        self._show_end(outcome)

    def _faults(self) -> list[dict[str, Any]]:
        """Two schools never answer rightly; at all others every fault passes."""
        schools = World(SEED, schools=SCHOOLS, offices=(OFFICE,)).schools
        for_ever = [
            Fault(kind, schools=frozenset({school.school_code}))
            for kind, school in zip(("http_500", "html"), schools, strict=False)
        ]
        return [fault.as_json() for fault in (*for_ever, *all_transient(share=0.12))]

    def _emulator(self, faults: str) -> list[str]:
        return [
            "collection.neis_emulator", "--offices", OFFICE, "--schools", str(SCHOOLS),
            "--seed", str(SEED), "--keys", KEY, "--faults", faults, "--dirty-rows", "0.05",
        ]  # fmt: skip

    def _point_at(self, base_url: str) -> None:
        """For the children: waits are short here, as nobody has to be spared."""
        os.environ |= {
            "NEIS_BASE_URL": base_url,
            "NEIS_API_KEYS": KEY,
            "NEIS_REQUESTS_PER_SECOND": "0",
            "NEIS_TIMEOUT_SECONDS": "3",
            "FETCH_RETRY_SECONDS": "0.4",
            "FETCH_MAX_FAILURES": "6",
        }

    def _manage(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> int:
        done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=settings.BASE_DIR)
        if done.returncode not in expect:
            sys.exit(done.returncode)
        return done.returncode

    def _show_failures(self) -> None:
        run = Run.objects.latest("id")
        failed = Attempt.objects.filter(fetch__run=run).exclude(error_class="")
        for name, count in failed.values_list("error_class").annotate(n=Count("id")).order_by("-n"):
            label = ErrorClass(name).label
            self.stdout.write("  " + _("%(n)s × %(label)s") % {"n": count, "label": label})
        for fetch in SchoolFetch.objects.filter(run=run, state=FetchState.FAILED):
            self.stdout.write(f"  {fetch.school}: {fetch.get_error_class_display()}")

    def _show_end(self, outcome: int) -> None:
        file = settings.BASE_DIR / ".local" / "demo.csv"
        self.stdout.write(_("The CSV file: %(file)s") % {"file": file})
        self.stdout.write(
            _("The console: make up, then http://127.0.0.1:8000 (%(user)s, password in %(file)s)")
            % {"user": console_user.NAME, "file": ".local/console_password"}
        )
        if outcome:
            self.stdout.write(_("Some schools failed for good: the list is above."))

    def _say(self, text: str) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(text))
