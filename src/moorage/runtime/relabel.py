"""Setting labels of SELinux on files of the host: ``:z`` and ``:Z`` of a bind, files of ours.

Links are labelled, never followed: whoever can write to the tree could lead elsewhere.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import System

ATTRIBUTE: Final = "security.selinux"
_KEPT_PATHS: Final = """
/ /bin /boot /dev /etc /etc/passwd /etc/pki /etc/shadow /home /lib /lib64 /media /opt /proc /root
/run /sbin /srv /sys /tmp /usr /var /var/lib /var/log
"""
_KEPT: Final = frozenset(_KEPT_PATHS.split())
_NO_LABELS: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})


def tree(path: Path, label: str) -> None:
    """Label a file, or a directory with all in it; where labels are not kept nothing happens.

    What lies on *path* as a link is followed first.
    Raises: System, with Docker's sentences.
    """
    top = os.path.realpath(path)
    try:
        if top in _kept():
            raise System(
                f"error setting label on mount source '{top}':"
                f" SELinux relabeling of {top} is not allowed"
            )
        _label_all(top, label)
    except OSError as error:
        if error.errno not in _NO_LABELS:
            reason = os.strerror(error.errno or 0).lower()
            raise System(f"error setting label on mount source '{top}': {reason}") from error


def _kept() -> frozenset[str]:
    """Return the places whose own labels the host cannot do without, and where links lead there."""
    homes = {os.environ.get("HOME", "")}
    if user := os.environ.get("SUDO_USER"):
        with suppress(KeyError):
            homes.add(pwd.getpwnam(user).pw_dir)
    return _KEPT.union(map(os.path.realpath, _KEPT), (os.path.realpath(h) for h in homes if h))


def _label_all(top: str, label: str) -> None:
    value = label.encode() + b"\0"
    root = os.open(top, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        held = f"/proc/self/fd/{root}"
        _set(held, value, follow=True)
        pending = [""] if stat.S_ISDIR(os.fstat(root).st_mode) else []
        while pending:
            pending += _label_entries(root, pending.pop(), value)
    finally:
        os.close(root)


def _label_entries(root: int, directory: str, value: bytes) -> list[str]:
    """Label what is in a directory below *root*; return the directories among it."""
    deeper = []
    try:
        fd = openat2(root, directory or ".", os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                _set(f"/proc/self/fd/{fd}/{entry.name}", value, follow=False)
                if entry.is_dir(follow_symlinks=False):
                    deeper.append(f"{directory}/{entry.name}")
    finally:
        os.close(fd)
    return deeper


def _set(path: str, value: bytes, *, follow: bool) -> None:
    """Set the label unless it is that already; a file that went away meanwhile is fine."""
    try:
        try:
            if os.getxattr(path, ATTRIBUTE, follow_symlinks=follow).rstrip(b"\0") == value[:-1]:
                return
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
        os.setxattr(path, ATTRIBUTE, value, follow_symlinks=follow)
    except FileNotFoundError:
        pass
