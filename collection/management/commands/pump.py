import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from collection import tasks


class Command(BaseCommand):
    help = (
        "Publishes due fetches and exports and takes back lost ones, as the scheduler does every two seconds. "
        "Safe to run anywhere, any number of times."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="Go on until Ctrl-C.")

    def handle(self, *args: Any, forever: bool, **options: Any) -> None:
        while True:
            pumped = tasks.stroke()
            if not forever:
                self.stdout.write(str(pumped))
                return
            time.sleep(tasks.PUMP_SECONDS)
