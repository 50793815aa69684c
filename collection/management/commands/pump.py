import logging
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, connection
from kombu.exceptions import OperationalError as BrokerError

from collection import tasks

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Publishes due fetches and exports and takes back lost ones, as the scheduler does every two seconds. "
        "Safe to run anywhere, any number of times."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="Go on until Ctrl-C.")

    def handle(self, *args: Any, forever: bool, **options: Any) -> None:
        if not forever:
            self.stdout.write(str(tasks.stroke()))
            return
        while True:
            try:
                tasks.stroke()
            except BrokerError:
                logger.warning("The broker is away: the pump tries again.")
            except (OperationalError, InterfaceError):
                connection.close()
                logger.warning("The database is away: the pump tries again.")
            time.sleep(tasks.PUMP_SECONDS)
