from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.translation import gettext as _

from collection import retention


class Command(BaseCommand):
    help = (
        "Makes the partitions of the weeks to come, and deletes what RETENTION_WEEKS and "
        "HISTORY_DAYS call old, as the scheduler does every night."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        removed = retention.apply(timezone.now())
        weeks = ", ".join(str(monday) for monday in removed.weeks) or "–"
        self.stdout.write(_("Weeks dropped: %(weeks)s") % {"weeks": weeks})
        for table, rows in removed.rows.items():
            if rows:
                self.stdout.write(f"{table}: {rows:,}")
