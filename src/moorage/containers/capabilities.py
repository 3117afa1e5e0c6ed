"""Which capabilities a container has: ``--cap-add``, ``--cap-drop``, ``--privileged`` (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from moorage.lib.errors import InvalidParameter
from moorage.runtime.defaults import CAPABILITIES as DEFAULTS
from moorage.spec.oci.runtime import LinuxCapabilities

NAMES: Final = tuple(  # by number, capability.h
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP"
        " LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER"
        " SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE"
        " SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP"
        " MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF"
        " CHECKPOINT_RESTORE"
    ).split()
)
_ALL: Final = "ALL"


def from_mask(mask: int) -> tuple[str, ...]:
    """Return the names of a mask such as ``CapBnd`` of /proc/self/status."""
    return tuple(name for number, name in enumerate(NAMES) if mask >> number & 1)


def normalise(names: Iterable[str], option: str) -> list[str]:
    """Return the names as ``CAP_…``, sorted as Docker shows them; ``ALL`` stays.

    Raises: InvalidParameter, naming *option* (``CapAdd``).
    """
    known: list[str] = []
    for name in names:
        upper = name.strip().upper()
        if upper == _ALL:
            known.append(upper)
            continue
        full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in NAMES:
            raise InvalidParameter(f'invalid {option}: unknown capability: "{full}"')
        known.append(full)
    return known


def effective(
    add: Sequence[str], drop: Sequence[str], *, privileged: bool, available: Sequence[str]
) -> list[str]:
    """Return what the container may have, of what the daemon itself has (*available*).

    *add* and *drop* are normalised.
    """
    if privileged:
        return list(available)
    if _ALL in add:
        chosen = [name for name in available if name not in drop]
    elif _ALL in drop:
        chosen = list(add)
    else:
        chosen = [n for n in DEFAULTS if n not in drop]
        chosen += [n for n in add if n not in chosen]
    return [name for name in chosen if name in available]


def sets(names: list[str], *, uid: int) -> LinuxCapabilities:
    """Return the sets of a process; one that is not root starts without, as after execve(2).

    The inheritable set stays empty (CVE-2022-24769).
    """
    if uid != 0:
        return LinuxCapabilities(bounding=names)
    return LinuxCapabilities(bounding=names, effective=names, permitted=names)
