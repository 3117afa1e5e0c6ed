"""mount(2), umount2(2) and the newer mount calls, by their own names; no policy here.

Constants are those of <linux/mount.h>. Paths are ``str`` or ``Path``; file descriptors are the
caller's to close.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

from msgspec import Struct

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_SYNCHRONOUS: Final = 0x10
MS_REMOUNT: Final = 0x20
MS_DIRSYNC: Final = 0x80
MS_NOATIME: Final = 0x400
MS_NODIRATIME: Final = 0x800
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_SILENT: Final = 0x8000
MS_UNBINDABLE: Final = 0x20000
MS_PRIVATE: Final = 0x40000
MS_SLAVE: Final = 0x80000
MS_SHARED: Final = 0x100000
MS_RELATIME: Final = 0x200000
MS_STRICTATIME: Final = 0x1000000

MNT_FORCE: Final = 0x1
MNT_DETACH: Final = 0x2
UMOUNT_NOFOLLOW: Final = 0x8

OPEN_TREE_CLONE: Final = 0x1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
FSOPEN_CLOEXEC: Final = 0x1
FSMOUNT_CLOEXEC: Final = 0x1
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_CMD_CREATE: Final = 6
AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
AT_SYMLINK_NOFOLLOW: Final = 0x100
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR_IDMAP: Final = 0x100000

_ESCAPES: Final = (  # the backslash last, or what it escapes would be undone twice
    ("\\040", " "),
    ("\\011", "\t"),
    ("\\012", "\n"),
    ("\\043", "#"),  # of sources only
    ("\\134", "\\"),
)
PAGE_LIMIT: Final = 4095  # bytes of options that mount(2) takes

_SYS_OPEN_TREE: Final = 428  # the same on every architecture
_SYS_MOVE_MOUNT: Final = 429
_SYS_FSOPEN: Final = 430
_SYS_FSCONFIG: Final = 431
_SYS_FSMOUNT: Final = 432
_SYS_MOUNT_SETATTR: Final = 442

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.syscall.restype = ctypes.c_long

StrPath = str | Path


class MountAttr(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def mount(
    source: StrPath, target: StrPath, fstype: str | None, flags: int = 0, options: str = ""
) -> None:
    """The system call of this name. Raises: OSError."""
    ok = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        fstype.encode() if fstype else None,
        flags,
        os.fsencode(options) if options else None,
    )
    if ok < 0:
        _fail(str(target))


def labelled(options: str, label: str) -> str:
    """Return *options* of mount(2) with the one that has SELinux see all files with *label*."""
    return f'{options},context="{label}"' if label else options


def umount2(target: StrPath, flags: int = 0) -> None:
    """The system call of this name; ``UMOUNT_NOFOLLOW`` where *target* is not ours."""
    if _libc.umount2(os.fsencode(target), flags) < 0:
        _fail(str(target))


def open_tree(dirfd: int, path: StrPath, flags: int) -> int:
    """The system call of this name. Returns: a descriptor of the mount."""
    return _syscall(_SYS_OPEN_TREE, dirfd, os.fsencode(path), flags, what=str(path))


def move_mount(from_fd: int, from_path: StrPath, to_fd: int, to_path: StrPath, flags: int) -> None:
    """The system call of this name. Raises: OSError."""
    source, target = os.fsencode(from_path), os.fsencode(to_path)
    _syscall(_SYS_MOVE_MOUNT, from_fd, source, to_fd, target, flags, what=str(to_path))


def fsopen(fstype: str, flags: int = FSOPEN_CLOEXEC) -> int:
    """The system call of this name. Raises: OSError."""
    return _syscall(_SYS_FSOPEN, fstype.encode(), flags, what=fstype)


def fsconfig(fd: int, command: int, key: str | None, value: str | None, aux: int = 0) -> None:
    """The system call of this name. Raises: OSError."""
    key_bytes = key.encode() if key is not None else None
    value_bytes = os.fsencode(value) if value is not None else None
    _syscall(_SYS_FSCONFIG, fd, command, key_bytes, value_bytes, aux, what=f"{key}={value}")


def fsmount(fd: int, flags: int = FSMOUNT_CLOEXEC, attributes: int = 0) -> int:
    """The system call of this name. Returns: a descriptor of the detached mount."""
    return _syscall(_SYS_FSMOUNT, fd, flags, attributes, what="fsmount")


def mount_setattr(dirfd: int, path: StrPath, flags: int, attributes: MountAttr) -> None:
    """The system call of this name. Raises: OSError."""
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    pointer = ctypes.byref(attributes)
    _syscall(_SYS_MOUNT_SETATTR, dirfd, os.fsencode(path), flags, pointer, size, what=str(path))


class MountInfo(Struct, frozen=True):
    """One line of /proc/self/mountinfo, what we use of it."""

    mount_id: int
    root: str
    target: str
    fstype: str
    source: str
    options: str
    super_options: str
    optional: str  # "shared:7 master:3"


def parse_mountinfo(text: str) -> list[MountInfo]:
    """Parse the text of /proc/PID/mountinfo (proc(5)); octal escapes are undone."""
    mounts = []
    for line in text.split("\n"):  # not splitlines: names may hold any other end of a line
        if not line:
            continue
        before, _, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        mounts.append(
            MountInfo(
                mount_id=int(left[0]),
                root=_unescape(left[3]),
                target=_unescape(left[4]),
                fstype=right[0],
                source=_unescape(right[1]),
                options=left[5],
                super_options=right[2] if len(right) > 2 else "",
                optional=" ".join(left[6:]),
            )
        )
    return mounts


def mountinfo(pid: int | str = "self") -> list[MountInfo]:
    """Return the mounts of the namespace of *pid*. Raises: OSError."""
    return parse_mountinfo(os.fsdecode(Path(f"/proc/{pid}/mountinfo").read_bytes()))


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    for octal, plain in _ESCAPES:
        text = text.replace(octal, plain)
    return text


def _syscall(number: int, *arguments: object, what: str) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *map(_argument, arguments))
    if result < 0:
        _fail(what)
    return result


def _argument(value: object) -> object:
    """Widen integers: a variadic call would pass them as 32 bits."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def _fail(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)
