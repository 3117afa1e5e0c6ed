"""``volume-subpath`` and ``image-subpath``: a part of a volume or an image, as a mount.

The content of a volume is the work of containers, so its links are not to be trusted: the path is
opened with openat2(2) inside the volume, and that very descriptor is bind-mounted (by open_tree) at
a place only we can reach. Nothing walks the path a second time.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from moorage.kernel import mount as k
from moorage.kernel import openat2
from moorage.lib.errors import InvalidParameter, NotFound, System


def check(subpath: str, what: str = "volume") -> None:
    """Refuse what can never be a subpath. Raises: InvalidParameter."""
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidParameter(
            f"invalid {what} subpath '{subpath}': must be a relative path within the {what}"
        )


def bind(volume: Path, subpath: str, target: Path, *, what: str = "volume") -> Path:
    """Mount *subpath* of the directory *volume* at *target*, which is made.

    *what* the directory is, messages say.

    Raises: InvalidParameter, NotFound, System.
    """
    check(subpath, what)
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = _open(root, subpath, what)
    finally:
        os.close(root)
    try:
        _bind_descriptor(held, target)
    except OSError as error:
        raise System(f"cannot mount {what} subpath '{subpath}': {error.strerror}") from error
    finally:
        os.close(held)
    return target


def _open(root: int, subpath: str, what: str) -> int:
    try:
        return openat2.openat2(
            root,
            subpath,
            os.O_PATH | os.O_CLOEXEC,
            resolve=openat2.RESOLVE_BENEATH | openat2.RESOLVE_NO_MAGICLINKS,
        )
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise InvalidParameter(
                f"{what} subpath '{subpath}' leads out of the {what}", hint="it passes a link"
            ) from error
        raise NotFound(
            f"cannot access {what} subpath '{subpath}': {(error.strerror or '').lower()}",
            hint="it must exist before the container starts",
        ) from error


def _bind_descriptor(held: int, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(held).st_mode):
        target.mkdir(mode=0o700, exist_ok=True)
    else:
        target.touch(mode=0o600)
    tree = k.open_tree(
        held, "", k.AT_EMPTY_PATH | k.AT_RECURSIVE | k.OPEN_TREE_CLONE | k.OPEN_TREE_CLOEXEC
    )
    try:
        k.move_mount(tree, "", k.AT_FDCWD, target, k.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def release(target: Path) -> None:
    """Undo ``bind``; absent is fine. Raises: OSError."""
    try:
        k.umount2(target, k.MNT_DETACH | k.UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOENT}:
            raise
    with suppress(FileNotFoundError):
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink()
