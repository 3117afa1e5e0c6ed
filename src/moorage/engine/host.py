"""Facts about the machine for ``info`` and ``version``; read once unless they change."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import Final

_OS_RELEASE: Final = (Path("/etc/os-release"), Path("/usr/lib/os-release"))
_GO_ARCH: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
}


@functools.cache
def os_release() -> dict[str, str]:
    """Return os-release(5) as a mapping."""
    for path in _OS_RELEASE:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        return {key: value.strip("\"'") for key, value in pairs}
    return {}


def operating_system() -> str:
    """Return the pretty name of the distribution."""
    return os_release().get("PRETTY_NAME", "Linux")


def kernel_version() -> str:
    """Return ``uname -r``."""
    return os.uname().release


def machine() -> str:
    """Return ``uname -m``."""
    return platform.machine()


def go_arch() -> str:
    """Return the architecture by Go's name."""
    return _GO_ARCH.get(machine(), machine())


@functools.cache
def memory_total() -> int:
    """Return the memory of the machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cpu_count() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def open_files() -> int:
    """Return how many descriptors the daemon holds."""
    return len(os.listdir("/proc/self/fd")) - 1


def resident_memory() -> int:
    """Return the daemon's resident set in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def flag_file(path: str) -> bool:
    """Return a setting below /proc/sys; False where there is none."""
    try:
        return Path(path).read_text().strip() == "1"
    except OSError:
        return False
