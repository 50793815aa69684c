"""The console and everything behind it, until Ctrl-C."""

import os
import signal
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from config import console_user, embedded
from config.processes import Processes, scheduler, worker

EMULATOR_KEY = "emulator-key"


class Command(BaseCommand):
    help = "Runs the console, a worker and a scheduler until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="ADDRESS:PORT")

    def handle(self, *args: Any, bind: str, **options: Any) -> None:
        local = settings.BASE_DIR / ".local"
        embedded.start(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)
        call_command("migrate", verbosity=0)
        local.mkdir(exist_ok=True)
        name, password = console_user.ensure(local / "console_password")
        with Processes(local / "logs") as processes:
            if not settings.NEIS_API_KEYS:
                self._use_emulator(processes)
            processes.start("worker", worker(threads=16))
            processes.start("beat", scheduler())
            processes.start("web", ["gunicorn", "config.wsgi", "--bind", bind, "--threads", "4"])
            processes.watch(seconds=2)
            self.stdout.write(_("The console: http://%(bind)s/") % {"bind": bind})
            self.stdout.write(
                _("Login: %(name)s, password: %(password)s") % {"name": name, "password": password}
            )
            self.stdout.write(_("Ctrl-C ends it."))
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                processes.watch()
            except KeyboardInterrupt:
                self.stdout.write(_("Ending; what is under way is finished first."))

    def _use_emulator(self, processes: Processes) -> None:
        told = processes.start_and_read(
            "emulator", ["collection.neis_emulator", "--keys", EMULATOR_KEY]
        )
        os.environ |= {"NEIS_BASE_URL": told["base_url"], "NEIS_API_KEYS": EMULATOR_KEY}
        subprocess.run(
            [sys.executable, "manage.py", "sync_schools"], cwd=settings.BASE_DIR, check=False
        )
        self.stdout.write(
            _(
                "NEIS_API_KEYS is not set: the emulator stands in for NEIS, its schools are "
                "invented. For commands in another window: "
                "export NEIS_BASE_URL=%(url)s NEIS_API_KEYS=%(key)s"
            )
            % {"url": told["base_url"], "key": EMULATOR_KEY}
        )
