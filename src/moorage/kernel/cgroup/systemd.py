"""How systemd names control groups, and the OCI runtimes that ask it for them (pure).

``slice:prefix:name`` in the runtime specification stands for the unit ``prefix-name.scope`` in the
slice; a slice lies in those that its own name begins with: ``a-b.slice`` is
``/a.slice/a-b.slice``, and ``-.slice`` the root (systemd.slice(5)).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_SLICE: Final = ".slice"
_ROOT: Final = "-.slice"
_BOOTED: Final = Path("/run/systemd/system")


def runs(booted: Path = _BOOTED) -> bool:
    """Whether systemd is the init of this host, as sd_booted(3) tells."""
    try:
        return stat.S_ISDIR(os.lstat(booted).st_mode)
    except OSError:
        return False


def is_slice(name: str) -> bool:
    """Whether *name* can be a slice's: ``-`` stands between two names, never elsewhere."""
    stem = name.removesuffix(_SLICE)
    if name == _ROOT:
        return True
    return stem != name and "/" not in name and ":" not in name and all(stem.split("-"))


def slice_path(name: str) -> str:
    """Return the group of a slice below the root of the hierarchy; "" for the root itself."""
    if name == _ROOT:
        return ""
    parts = name.removesuffix(_SLICE).split("-")
    return "".join(f"/{'-'.join(parts[: n + 1])}{_SLICE}" for n in range(len(parts)))


def scope_path(cgroups_path: str) -> str:
    """Return the path below the root of the scope that the specification names."""
    parent, prefix, name = cgroups_path.split(":")
    return f"{slice_path(parent)}/{prefix}-{name}.scope"
