"""Mount options as mount(8) spells them, split into flags and file system data; pure.

``ro,noatime,rshared,size=64m`` becomes MS_RDONLY | MS_NOATIME, the propagation change
MS_SHARED | MS_REC, and the data ``size=64m`` that the file system itself will read.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from moorage.kernel import mount as k

_SET: Final = {
    "bind": k.MS_BIND,
    "rbind": k.MS_BIND | k.MS_REC,
    "dirsync": k.MS_DIRSYNC,
    "noatime": k.MS_NOATIME,
    "nodev": k.MS_NODEV,
    "nodiratime": k.MS_NODIRATIME,
    "noexec": k.MS_NOEXEC,
    "nosuid": k.MS_NOSUID,
    "relatime": k.MS_RELATIME,
    "remount": k.MS_REMOUNT,
    "ro": k.MS_RDONLY,
    "strictatime": k.MS_STRICTATIME,
    "sync": k.MS_SYNCHRONOUS,
}
_CLEAR: Final = {
    "async": k.MS_SYNCHRONOUS,
    "atime": k.MS_NOATIME,
    "dev": k.MS_NODEV,
    "diratime": k.MS_NODIRATIME,
    "exec": k.MS_NOEXEC,
    "norelatime": k.MS_RELATIME,
    "nostrictatime": k.MS_STRICTATIME,
    "rw": k.MS_RDONLY,
    "suid": k.MS_NOSUID,
}
_PROPAGATION: Final = {
    "private": k.MS_PRIVATE,
    "rprivate": k.MS_PRIVATE | k.MS_REC,
    "shared": k.MS_SHARED,
    "rshared": k.MS_SHARED | k.MS_REC,
    "slave": k.MS_SLAVE,
    "rslave": k.MS_SLAVE | k.MS_REC,
    "unbindable": k.MS_UNBINDABLE,
    "runbindable": k.MS_UNBINDABLE | k.MS_REC,
}


class MountOptions(Struct, frozen=True):
    """The three parts of an option string."""

    flags: int = 0
    propagation: int = 0  # 0: as the parent's
    data: str = ""


def parse(text: str) -> MountOptions:
    """Split *text*; what is no known flag is data, in its order; ``defaults`` says nothing."""
    flags = propagation = 0
    data: list[str] = []
    for word in text.split(","):
        if word in {"", "defaults"}:
            continue
        if word in _SET:
            flags |= _SET[word]
        elif word in _CLEAR:
            flags &= ~_CLEAR[word]
        elif word in _PROPAGATION:
            propagation = _PROPAGATION[word]
        else:
            data.append(word)
    return MountOptions(flags, propagation, ",".join(data))
