"""Who a process runs as: ``user[:group]`` looked up in the image's own files.

The parse is pure. The files belong to the image and may be hostile (CVE-2024-9676: a link out of
the root, a FIFO, an endless file), so they are opened by descriptor inside the root, and only
regular files of bounded size are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from moorage.kernel.openat2 import openat2
from moorage.lib.errors import InvalidParameter

_MAX_ID: Final = (1 << 31) - 1
_MAX_DIGITS: Final = 20  # more are no number of 64 bits
_FILE_LIMIT: Final = 16 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """Numbers of a process, and its home."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # supplementary; the primary comes first (CVE-2022-36109)
    home: str = "/"


@dataclass(frozen=True, slots=True)
class UserFiles:
    """Texts of /etc/passwd and /etc/group; empty where the image has none."""

    passwd: str = ""
    group: str = ""


def read_user_files(root_fd: int) -> UserFiles:
    """Read the two files below *root_fd*.

    Raises: InvalidParameter (not regular files, or too large).
    """
    return UserFiles(_read(root_fd, "etc/passwd"), _read(root_fd, "etc/group"))


def _read(root_fd: int, path: str) -> str:
    try:
        fd = openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidParameter(f"/{path} of the image is not a regular file")
        content = bytearray()
        while chunk := os.read(fd, 1 << 16):
            content += chunk
            if len(content) > _FILE_LIMIT:
                raise InvalidParameter(f"/{path} of the image is larger than {_FILE_LIMIT} bytes")
        return content.decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)


def look_up(user: str, files: UserFiles, group_add: Sequence[str] = ()) -> Identity:
    """Resolve ``user``, ``uid``, ``user:group``, ``:group`` … and additional groups.

    Raises: InvalidParameter, with Docker's sentences.
    """
    user_part, _, group_part = user.partition(":")
    uid, gid, home, name = _user(user_part, files.passwd)
    groups: list[int] = []
    if group_part:
        gid = _group(group_part, files.group)
    elif name:
        groups = [g for _, g, members in _groups(files.group) if name in members]
    extra = [_group(entry, files.group) for entry in group_add]
    ordered = tuple(dict.fromkeys([gid, *groups, *extra]))
    return Identity(uid, gid, ordered, home)


def _user(wanted: str, passwd: str) -> tuple[int, int, str, str]:
    """Return uid, gid, home and the name that was found ("" if none)."""
    for name, uid, gid, home in _users(passwd):
        if (wanted in {name, str(uid)}) if wanted else uid == 0:
            return _checked(uid), _checked(gid), home or "/", name
    if not wanted:
        return 0, 0, "/", ""
    if not _is_number(wanted):
        raise InvalidParameter(f"unable to find user {wanted}: no matching entries in passwd file")
    return _checked(int(wanted)), 0, "/", ""


def _group(wanted: str, group: str) -> int:
    for name, gid, _ in _groups(group):
        if wanted in {name, str(gid)}:
            return _checked(gid)
    if not _is_number(wanted):
        raise InvalidParameter(f"unable to find group {wanted}: no matching entries in group file")
    return _checked(int(wanted))


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) <= _MAX_DIGITS


def _checked(number: int) -> int:
    if not 0 <= number <= _MAX_ID:
        raise InvalidParameter(f"uids and gids must be in range 0-{_MAX_ID}")
    return number


def _fields(text: str, count: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            fields = stripped.split(":")
            yield fields + [""] * (count - len(fields))


def _users(passwd: str) -> Iterator[tuple[str, int, int, str]]:
    for fields in _fields(passwd, 7):
        if _is_number(fields[2]) and _is_number(fields[3]):
            yield fields[0], int(fields[2]), int(fields[3]), fields[5]


def _groups(group: str) -> Iterable[tuple[str, int, list[str]]]:
    for fields in _fields(group, 4):
        if _is_number(fields[2]):
            yield fields[0], int(fields[2]), [m for m in fields[3].split(",") if m]
