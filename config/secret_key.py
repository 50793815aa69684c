"""A Django secret key of this clone's own, for the embedded stack only."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key


def read_or_create(path: Path) -> str:
    """Raises ImproperlyConfigured when the folder belongs to another user."""
    try:
        return _read_or_create(path)
    except PermissionError:
        raise ImproperlyConfigured(
            f"{path.parent} belongs to another user of this machine: run as that user, "
            "or work in a clone of your own."
        ) from None


def _read_or_create(path: Path) -> str:
    """Two processes that start at once end with the same key: the first link wins."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(get_random_secret_key())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()
