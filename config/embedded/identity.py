"""Under which identity a program runs that refuses to be root, as PostgreSQL does.

Loosening the permissions of the directories above the clone is no way: a home of mode 700
stays one. Two ways are open to root instead, and the first that works is taken:

- namespace: a user namespace in which root bears another account's number. Files stay root's.
- capability: the account itself, with the one capability that passes closed directories.
  For containers, where namespaces are usually forbidden. The data belongs to the account.
"""

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import EmbeddedServiceError

LAUNCHER = Path(__file__).with_name("launch.py")
WAYS = ("namespace", "capability")
# initdb insists on an account with a name.
ACCOUNTS = ("postgres", "nobody")
# No PG* variables, no library paths and no secrets of ours reach a server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


@dataclass(frozen=True)
class Identity:
    way: str
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """Whose the data must be, seen from outside: user and group."""
        if self.way == "capability":
            return self.uid, self.gid
        return os.geteuid(), os.getegid()

    def wrap(self, command: list[str], *, mode: str = "wait") -> list[str]:
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), mode]
        return [*launcher, self.way, str(self.uid), str(self.gid), *command]

    def can_run(self, command: list[str]) -> bool:
        done = subprocess.run(
            self.wrap(command),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


SELF = Identity("self", 0, 0)


def choose_unprivileged(probe: list[str]) -> Identity:
    """The identity for a program that refuses to be root; `probe` is a command to try it on."""
    if os.geteuid() != 0:
        return SELF
    for way in WAYS:
        identity = Identity(way, *_find_account())
        if identity.can_run(probe):
            return identity
    raise EmbeddedServiceError(
        "PostgreSQL refuses to run as root, and neither a user namespace nor the capability "
        "DAC_OVERRIDE can be had here. Start it as an ordinary user, or set DATABASE_URL."
    )


def _find_account() -> tuple[int, int]:
    for name in ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return account.pw_uid, account.pw_gid
    raise EmbeddedServiceError(
        f"PostgreSQL refuses to run as root, and no account of {', '.join(ACCOUNTS)} exists. "
        "Start it as an ordinary user, or set DATABASE_URL."
    )
