import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from collection import school_list, upstream
from collection.management.keys import say_that_keys_are_missing
from collection.models import ListIssueKind
from collection.neis import NeisError


class Command(BaseCommand):
    help = "Refreshes the offices and schools from NEIS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--office", nargs="+", default=[], metavar="CODE")

    def handle(self, *args: Any, office: list[str], **options: Any) -> None:
        if not settings.NEIS_API_KEYS:
            say_that_keys_are_missing(self.stderr)
            sys.exit(2)
        try:
            record = school_list.sync(
                upstream.client(),
                offices=office,
                now=timezone.now(),
                least_share=settings.REFUSE_LIST_BELOW_SHARE,
            )
        except (NeisError, school_list.ListRefused) as error:
            self.stderr.write(str(error))
            sys.exit(3)
        self.stdout.write(
            _(
                "%(received)s rows: %(added)s schools added, %(changed)s changed, "
                "%(unchanged)s unchanged, %(missing)s missing, %(closed)s closed, "
                "%(set_aside)s rows set aside"
            )
            % vars(record)
        )
        counts = record.issues.order_by("kind").values_list("kind").annotate(count=Count("id"))
        for kind, count in counts:
            self.stdout.write(f"  {ListIssueKind(kind).label}: {count}")
