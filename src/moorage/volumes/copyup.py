"""Copy-up: a new volume begins with what the image has at the place it is mounted on.

Done by descriptors on both sides: the image's links are resolved inside the container's root, and
the volume's content is never followed (CVE-2020-1726, CVE-2022-23648).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from moorage.kernel import openat2
from moorage.storage import treecopy

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def populate(
    volume: Path, rootfs: Path, inside: str, owners: treecopy.Owners | None = None
) -> bool:
    """Copy directory *inside* of the container's root to *volume*, if that is empty.

    *owners*: from those seen in the root to those in the volume.
    Returns: whether it was done; a place the image has not is nothing to copy.
    Raises: OSError.
    """
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = openat2.openat2(root, inside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
    finally:
        os.close(root)
    try:
        target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if is_used(target):
                return False
            treecopy.copy_tree(source, target, owners)
        finally:
            os.close(target)
    finally:
        os.close(source)
    return True


def is_used(directory: int) -> bool:
    """Whether there is anything but the ``lost+found`` of a fresh file system."""
    with os.scandir(directory) as entries:
        return any(entry.name != "lost+found" for entry in entries)
