"""Whose directories the servers use: private ones of the present user, and nobody else's."""

import os
import pwd
from pathlib import Path

from .errors import EmbeddedServiceError


def make_private(directory: Path) -> None:
    """Creates the directory, closed to all others; refuses one that belongs to another user."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        refuse_foreign(_nearest_existing(directory))
        raise EmbeddedServiceError(f"cannot create {directory}: {error.strerror}") from error
    refuse_foreign(directory)
    if directory.stat().st_mode & 0o077:
        directory.chmod(0o700)


def refuse_foreign(directory: Path) -> None:
    """Raises EmbeddedServiceError when the directory, or a link in its place, is another's."""
    if not os.path.lexists(directory):
        return
    for uid in (directory.lstat().st_uid, directory.stat().st_uid):
        if uid != os.geteuid():
            raise EmbeddedServiceError(_advise(directory, owner=_name(uid)))


def _advise(directory: Path, *, owner: str) -> str:
    return (
        f"{directory} belongs to {owner}, and this runs as {_name(os.geteuid())}. "
        f"Run it as {owner}; or, as {owner}, stop the services and remove the directory with "
        "all data in it; or set DATABASE_URL and REDIS_URL."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _nearest_existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.parents) if path.exists())
