"""The first user of a console of one's own: a name, and a password made for this clone."""

import os
import secrets
from pathlib import Path

from django.contrib.auth import get_user_model

NAME = "admin"


def ensure(path: Path) -> tuple[str, str]:
    """Name and password; the password is kept in `path`, readable for the owner alone."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(12))
    password = path.read_text().strip()
    user, created = get_user_model().objects.get_or_create(
        username=NAME, defaults={"is_staff": True, "is_superuser": True}
    )
    if created:
        user.set_password(password)
        user.save()
    return NAME, password
