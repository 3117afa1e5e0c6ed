"""Which capabilities a container has: ``--cap-add``, ``--cap-drop``, ``--privileged`` (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from moorage.kernel.capability import NAMES
from moorage.lib.errors import InvalidParameter
from moorage.runtime.defaults import CAPABILITIES as DEFAULTS
from moorage.spec.oci.runtime import LinuxCapabilities

_ALL: Final = "ALL"


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
