"""``userns-remap``: whose subordinate ids the users of containers are.

The ranges of a user are in /etc/subuid, those of a group in /etc/subgid (subuid(5)), one after the
other from 0 on inside. ``default`` is the user ``dockremap``, made if there is none, so that this
daemon and a dockerd of the same host share the ranges.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from moorage.kernel import spawn
from moorage.kernel.idmap import Extent, IdMap
from moorage.lib.errors import InvalidParameter, System

T = TypeVar("T")
_DEFAULT: Final = "dockremap"
_RANGE: Final = 65536
_FIRST: Final = 100_000
_SUBUID: Final = Path("/etc/subuid")
_SUBGID: Final = Path("/etc/subgid")


class Named(Struct, frozen=True):
    """A user and a group of the host."""

    user: str
    group: str


async def resolve(text: str) -> IdMap | None:
    """Return the map that the setting means, None for none.

    Raises: InvalidParameter (no such user or group, no ranges), System (a user cannot be made).
    """
    if not text:
        return None
    if text == "default":
        await _make_default()
        named = Named(_DEFAULT, _DEFAULT)
    else:
        named = names(text)
    if named.user == "root":
        return None  # as with dockerd: mapping root to itself is no mapping
    return ranges(named, _SUBUID.read_text(), _SUBGID.read_text())


def names(text: str) -> Named:
    """Look up ``user[:group]`` or ``uid[:gid]``; without a group that of the user's name.

    Raises: InvalidParameter, with dockerd's sentences.
    """
    parts = text.split(":")
    if len(parts) > 2:
        raise InvalidParameter(f'Invalid user/group specification in --userns-remap: "{text}"')
    user = _find(parts[0], pwd.getpwuid, pwd.getpwnam, "uid", "passwd").pw_name
    if len(parts) == 1:
        try:
            return Named(user, grp.getgrnam(user).gr_name)
        except KeyError:
            raise InvalidParameter(
                f'Error during gid lookup for "{user}": no such group',
                hint="give the group too: --userns-remap user:group",
            ) from None
    return Named(user, _find(parts[1], grp.getgrgid, grp.getgrnam, "groupname", "group").gr_name)


def _find(
    text: str, by_number: Callable[[int], T], by_name: Callable[[str], T], what: str, file: str
) -> T:
    try:
        return by_number(int(text)) if text.isdecimal() else by_name(text)
    except (KeyError, OverflowError):
        raise InvalidParameter(
            f'Error during {what} lookup for "{text}": no such entry in the {file} database'
        ) from None


def ranges(named: Named, subuid: str, subgid: str) -> IdMap:
    """Return the map of a user's and a group's ranges (pure).

    Raises: InvalidParameter, with dockerd's sentences.
    """
    made = []
    for what, kind, name, text in (
        ("uid", "user", named.user, subuid),
        ("gid", "group", named.group, subgid),
    ):
        extents = _extents(name, text)
        if not extents:
            raise InvalidParameter(
                f'Can\'t create ID mappings: no sub{what} ranges found for {kind} "{name}"',
                hint=f"add a line '{name}:{_FIRST}:{_RANGE}' to /etc/sub{what}",
            )
        made.append(extents)
    return IdMap(*made)


def _extents(name: str, text: str) -> tuple[Extent, ...]:
    found: list[Extent] = []
    inside = 0
    for line in text.splitlines():
        fields = line.split("#")[0].strip().split(":")
        if fields[0] != name:
            continue
        if len(fields) != 3 or not fields[1].isdecimal() or not fields[2].isdecimal():
            raise InvalidParameter(
                f"Cannot parse subuid/gid information: format not correct: {line}"
            )
        count = int(fields[2])
        found.append(Extent(inside, int(fields[1]), count))
        inside += count
    return tuple(found)


async def _make_default() -> None:
    """Make the user, group and ranges of ``default`` where they are missing."""
    try:
        pwd.getpwnam(_DEFAULT)
    except KeyError:
        done = await spawn.run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false",
             _DEFAULT]
        )  # fmt: skip
        if done.code:
            said = done.stderr.decode(errors="replace").strip()
            raise System(
                f"cannot make the user {_DEFAULT} for userns-remap: {said}",
                hint="make one by hand, or name another user",
            ) from None
    for path in (_SUBUID, _SUBGID):
        text = path.read_text() if path.exists() else ""
        if not _extents(_DEFAULT, text):
            line = f"{_DEFAULT}:{free(text)}:{_RANGE}\n"
            with path.open("a") as file:
                file.write(line if not text or text.endswith("\n") else f"\n{line}")


def free(text: str) -> int:
    """Return the first id above all ranges of a subuid(5) file (pure)."""
    ends = [_FIRST]
    for line in text.splitlines():
        fields = line.split("#")[0].strip().split(":")
        if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
            ends.append(int(fields[1]) + int(fields[2]))
    return max(ends)


def require_way(data_root: Path, owners: IdMap) -> None:
    """Refuse directories above *data_root* that keep the containers' root out of it.

    Raises: InvalidParameter, with dockerd's sentence.
    """
    for directory in data_root.resolve().parents:
        found = directory.stat()
        passes = found.st_mode & 0o001 or (found.st_gid == owners.root[1] and found.st_mode & 0o010)
        if not passes:
            raise InvalidParameter(
                f"a subdirectory in your graphroot path ({data_root}) restricts access to the"
                " remapped root uid/gid; please fix by allowing 'o+x' permissions on existing"
                " directories",
                hint=f"chmod o+x {directory}",
            )
