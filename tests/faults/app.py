"""celery -A tests.faults.app: the product's application with faults inside."""

import django

from config.celery import app
from tests.faults import injection

django.setup()
injection.install()

__all__ = ["app"]
