"""Binds that leave out what is mounted below their source (``bind-recursive=disabled``).

crun 1.8 takes everything below along whatever the specification says, so the one mount is set
apart here, at a place only we can reach, and the runtime is given that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from moorage.kernel import mount as k
from moorage.volumes import subpath


def bind(source: Path, place: Path) -> str:
    """Mount *source* alone at *place*, which is made; return it. Blocking. Raises: OSError."""
    release(place)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.is_dir():
        place.mkdir(mode=0o700)
    else:
        place.touch(mode=0o600)
    tree = k.open_tree(k.AT_FDCWD, source, k.OPEN_TREE_CLONE | k.OPEN_TREE_CLOEXEC)
    try:
        k.move_mount(tree, "", k.AT_FDCWD, place, k.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)
    return str(place)


def release(place: Path) -> None:
    """Undo ``bind``; absent is fine. Blocking. Raises: OSError."""
    subpath.release(place)
    with suppress(OSError):  # others are there
        place.parent.rmdir()
