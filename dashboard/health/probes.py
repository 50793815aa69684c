"""What has to work before a request makes sense: asked of each part, told by name."""

from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from collection import broker
from dashboard.status import read_status


@dataclass(frozen=True, slots=True)
class Readiness:
    """Each part is True when it is well."""

    database: bool
    migrations: bool
    broker: bool
    scheduler: bool

    @property
    def ready(self) -> bool:
        return self.database and self.migrations and self.broker and self.scheduler


def probe(*, now: datetime) -> Readiness:
    try:
        migrations = _are_applied()
        scheduler = not read_status(now=now).scheduler_is_silent
    except DatabaseError:
        return Readiness(False, False, broker.answers(), False)
    return Readiness(True, migrations, broker.answers(), scheduler)


def _are_applied() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())
