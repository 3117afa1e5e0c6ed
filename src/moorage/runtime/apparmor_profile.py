"""The default AppArmor profile: what it forbids a container beyond namespaces and seccomp (pure).

AppArmor has no "everything but": what is left out must be spelled as the names that it is not. So
the profile is generated. It includes no file of the host's, and so is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

NAME: Final = "moorage-default"
UNCONFINED: Final = "unconfined"

_WRITE: Final = "wklx"  # change, lock, link, execute
_ALL: Final = "rwklx"
_DIGITS: Final = "0-9"
# Families of sockets that reach into the kernel past all namespaces. Seccomp forbids them too, but
# cannot look into the arguments of a 32-bit socketcall(2) (CVE-2026-31431).
_FAMILIES: Final = ("alg", "vsock")
# Who sends signals to a container from outside: the host, and OCI runtimes where a distribution
# has given them a profile of their own (Ubuntu 24.04 has).
_SENDERS: Final = (UNCONFINED, "runc", "crun")


def profile(name: str, *, daemon: str = UNCONFINED) -> str:
    """Return the text of the profile *name*; *daemon* is the profile that moord itself has."""
    return "\n".join([
        f"profile {name} flags=(attach_disconnected,mediate_deleted) {{",
        *(f"  {rule}," for rule in _rules(name, daemon)),
        "}",
        "",
    ])  # fmt: skip


def _rules(name: str, daemon: str) -> Iterator[str]:
    yield from ("network", "unix", "capability", "file", "umount")
    for family in _FAMILIES:
        yield f"deny network {family}"
    senders = list(dict.fromkeys((*_SENDERS, daemon)))
    for peer in senders:
        yield f"signal (receive) peer={peer}"
    yield f"signal (send,receive) peer={name}"
    for peer in dict.fromkeys((UNCONFINED, daemon)):  # ps and debuggers of the host look in
        yield f"ptrace (readby,tracedby) peer={peer}"
    yield f"ptrace (read,readby,trace,tracedby) peer={name}"
    yield "deny mount"
    yield from _proc()
    yield from _sys()


def _proc() -> Iterator[str]:
    """Leave the directories of processes, and the shared memory of the own IPC namespace."""
    yield f"deny /proc/{{kcore,sysrq-trigger}} {_ALL}"
    for other in others(["sys"], spared=_DIGITS):
        yield f"deny /proc/{other}{{,/**}} w"
    for other in others(["kernel"]):
        yield f"deny /proc/sys/{other}{{,/**}} w"
    for other in others(["shm*"]):
        yield f"deny /proc/sys/kernel/{other}{{,/**}} w"


def _sys() -> Iterator[str]:
    """Leave the cgroups, which a namespace and the flags of their mount guard."""
    for secret in ("firmware", "kernel/security", "devices/virtual/powercap"):
        yield f"deny /sys/{secret}/** {_ALL}"
    for other in others(["fs"]):
        yield f"deny /sys/{other}/** {_WRITE}"
    for other in others(["cgroup"]):
        yield f"deny /sys/fs/{other}/** {_WRITE}"


def others(names: Iterable[str], *, spared: str = "") -> list[str]:
    """Return globs that together match every name of a file but *names*.

    ``shm*`` among *names* stands for all that begin so; *spared* are first characters, as in
    brackets, of more that are not matched.
    """
    return list(_others(sorted(set(names)), "", spared))


def _others(names: list[str], prefix: str, spared: str) -> Iterator[str]:
    following = sorted({name[len(prefix)] for name in names if len(name) > len(prefix)})
    if "*" in following:
        return
    if prefix and prefix not in names:
        yield prefix
    if not following:
        yield f"{prefix}?*"
        return
    yield f"{prefix}[^{''.join(following)}{spared}/]*"
    for character in following:
        longer = prefix + character
        yield from _others([name for name in names if name.startswith(longer)], longer, "")
