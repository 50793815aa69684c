"""Whether the broker answers, asked without Celery: for pages and probes."""

from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError


def answers(*, timeout_seconds: int = 2) -> bool:
    options = dict(settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    if "socket_timeout" in options:
        options |= {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    try:
        with Connection(
            settings.CELERY_BROKER_URL, connect_timeout=timeout_seconds, transport_options=options
        ) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=timeout_seconds)
    except (OperationalError, OSError):
        return False
    return True
