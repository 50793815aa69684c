"""Becomes another program, detached and under another identity where asked to.

Runs alone, as `python -I -S launch.py detach|wait IDENTITY UID GID COMMAND…`, so it imports
nothing of ours. Standard input is the caller's lock: held until the other program has begun,
so that whoever takes the lock next finds that program. Detached, it prints the program's
process id; its standard output is then its standard error. See identity.py for the identities.
"""

import ctypes
import os
import sys
from collections.abc import Callable

CLONE_NEWUSER = 0x10000000
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def keep_identity(uid: int, gid: int) -> None:
    """Stays who it is."""


def enter_namespace(uid: int, gid: int) -> None:
    """Looks like `uid` to itself and stays the present user to every file."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {outer_uid} 1")
    _write("/proc/self/gid_map", f"{gid} {outer_gid} 1")


def keep_capability(uid: int, gid: int) -> None:
    """Becomes `uid`, which may still pass through directories closed to it."""
    # Without this bit access(2), which PostgreSQL asks about its own binaries, forgets the
    # capability.
    _call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _make_inheritable(CAP_DAC_OVERRIDE)
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _make_inheritable(capability: int) -> None:
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySets * 2)()
    _call("capget", ctypes.byref(header), sets)
    sets[0].inheritable |= 1 << capability
    _call("capset", ctypes.byref(header), sets)


def _call(function: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def hold_input() -> None:
    """Keeps it in a descriptor that ends with this program; the other one reads nothing."""
    os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def detach() -> None:
    """Goes on in a grandchild of a session of its own, so that nobody has to wait for it."""
    os.setsid()
    if pid := os.fork():
        print(pid, flush=True)
        os._exit(0)
    os.dup2(2, 1)


IDENTITIES: dict[str, Callable[[int, int], None]] = {
    "self": keep_identity,
    "namespace": enter_namespace,
    "capability": keep_capability,
}


def main(mode: str, identity: str, uid: str, gid: str, *command: str) -> None:
    hold_input()
    if mode == "detach":
        detach()
    try:
        IDENTITIES[identity](int(uid), int(gid))
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]} ({identity}): {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
