"""Whether this machine can run the programs of a platform, itself or by an emulator."""

from __future__ import annotations

import os
from typing import Final

from moorage.kernel import binfmt
from moorage.spec import platforms
from moorage.spec.platforms import Platform

_MACHINES: Final = {  # elf.h: EM_…
    "386": 3,
    "mips64le": 8,
    "ppc64le": 21,
    "s390x": 22,
    "arm": 40,
    "amd64": 62,
    "arm64": 183,
    "riscv64": 243,
    "loong64": 258,
}
_NATIVE: Final = {"amd64": {"386"}, "arm64": {"arm"}}  # what most kernels run beside their own


def can_run(platform: Platform) -> bool:
    """Whether it can; what is not known is taken to be."""
    host = platforms.of_machine(os.uname().machine).architecture
    wanted = platform.architecture
    if wanted == host or wanted in _NATIVE.get(host, ()) or wanted not in _MACHINES:
        return True
    return _MACHINES[wanted] in binfmt.machines()
