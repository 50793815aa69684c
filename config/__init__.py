"""Settings, the Celery application and the processes around them: the top layer."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
