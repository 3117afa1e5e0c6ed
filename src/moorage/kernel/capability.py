"""Capabilities (linux/capability.h): their names, and those of this process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

_LOWER: Final = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap"
    " linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner"
    " sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice"
    " sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap"
    " mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf"
    " checkpoint_restore"
)
NAMES: Final = tuple(f"CAP_{name.upper()}" for name in _LOWER.split())
"""In the order of their numbers."""


@functools.lru_cache(maxsize=8)
def names_of(mask: int) -> frozenset[str]:
    """Return the names in a mask such as ``CapEff``; bits without a name are left out."""
    return frozenset(name for number, name in enumerate(NAMES) if mask >> number & 1)


@functools.lru_cache(maxsize=4)
def _status_mask(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value, 16)
    return 0


def effective() -> frozenset[str]:
    """Return the capabilities this process may use."""
    return names_of(_status_mask("CapEff"))


def bounding() -> tuple[str, ...]:
    """Return the capabilities this process may pass on, in the order of their numbers.

    That is what "all capabilities" of a privileged container can mean on this host.
    """
    allowed = names_of(_status_mask("CapBnd"))
    return tuple(name for name in NAMES if name in allowed)
