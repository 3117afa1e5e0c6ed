"""Devices of the host that a container is given, looked at once, at its start."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from moorage.lib.errors import InvalidParameter, System
from moorage.spec.engine.hostconfig import DeviceMapping
from moorage.spec.oci.runtime import LinuxDevice, LinuxDeviceCgroup

_RULE: Final = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})\Z")
_MAX_NUMBER: Final = (1 << 63) - 1
_MAX_DIGITS: Final = 19
_SKIPPED: Final = frozenset({"pts", "shm", "fd", "mqueue", "lxc", ".lxc", ".lxd-mounts", ".udev"})
_MADE_BY_RUNTIME: Final = frozenset(
    {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
)


class DeviceNumber(NamedTuple):
    """Major and minor number."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class GivenDevices:
    """Nodes to make, and rules to allow them."""

    nodes: tuple[LinuxDevice, ...] = ()
    rules: tuple[LinuxDeviceCgroup, ...] = ()


def parse_rules(rules: Sequence[str]) -> list[LinuxDeviceCgroup]:
    """Parse ``--device-cgroup-rule``.

    Raises: InvalidParameter, with Docker's sentence.
    """
    parsed = []
    for rule in rules:
        found = _RULE.match(rule)
        if not found:
            raise InvalidParameter(f"invalid device cgroup rule format: '{rule}'")
        kind, major, minor, access = found.groups()
        parsed.append(
            LinuxDeviceCgroup(
                allow=True,
                type=kind,
                major=_number(major, "major", rule),
                minor=_number(minor, "minor", rule),
                access=access,
            )
        )
    return parsed


def _number(text: str, which: str, rule: str) -> int | None:
    if text == "*":
        return None
    if len(text) > _MAX_DIGITS or int(text) > _MAX_NUMBER:
        raise InvalidParameter(f"invalid {which} value in device cgroup rule format: '{rule}'")
    return int(text)


def check_mappings(mappings: Sequence[DeviceMapping]) -> None:
    """Refuse what cannot be a device.

    Raises: InvalidParameter.
    """
    for mapping in mappings:
        permissions = mapping.cgroup_permissions
        if any(c not in "rwm" for c in permissions) or len(set(permissions)) != len(permissions):
            raise InvalidParameter(f"invalid device mode: {permissions}")
        if not mapping.path_on_host.startswith("/"):
            raise InvalidParameter(f"{mapping.path_on_host!r} is not an absolute path")


def block_device(path: str) -> DeviceNumber:
    """Return the numbers of a block device. Blocks only in stat(2).

    Raises: System, with Docker's words.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise System(f"{path}: {os.strerror(error.errno or 0).lower()}") from error
    return DeviceNumber(os.major(status.st_rdev), os.minor(status.st_rdev))


def resolve(mappings: Sequence[DeviceMapping]) -> GivenDevices:
    """Look at each device; a directory gives all devices below it.

    Raises: System, with Docker's sentence.
    """
    nodes: list[LinuxDevice] = []
    for mapping in mappings:
        target = mapping.path_in_container or mapping.path_on_host
        try:
            found = list(_below(Path(mapping.path_on_host), target))
        except OSError as error:
            raise System(
                "error gathering device information while adding custom device"
                f' "{mapping.path_on_host}": {os.strerror(error.errno or 0).lower()}'
            ) from error
        if not found:
            raise System(
                "error gathering device information while adding custom device"
                f' "{mapping.path_on_host}": not a device node'
            )
        nodes += found
    permissions = {
        (mapping.path_in_container or mapping.path_on_host): mapping.cgroup_permissions or "rwm"
        for mapping in mappings
    }
    return GivenDevices(tuple(nodes), tuple(_rule(node, permissions) for node in nodes))


def _rule(node: LinuxDevice, permissions: dict[str, str]) -> LinuxDeviceCgroup:
    access = permissions.get(node.path) or next(
        (a for path, a in permissions.items() if node.path.startswith(f"{path.rstrip('/')}/")),
        "rwm",
    )
    return LinuxDeviceCgroup(
        allow=True, type=node.type, major=node.major, minor=node.minor, access=access
    )


def all_of_host() -> GivenDevices:
    """Return every device below /dev, for a privileged container."""
    nodes = [
        node
        for entry in sorted(os.listdir("/dev"))
        if entry not in _SKIPPED and entry not in _MADE_BY_RUNTIME
        for node in _walk(Path("/dev", entry), f"/dev/{entry}")
    ]
    return GivenDevices(tuple(nodes))


def _below(path: Path, target: str) -> Iterator[LinuxDevice]:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        for entry in sorted(os.listdir(path)):
            yield from _walk(path / entry, f"{target.rstrip('/')}/{entry}")
    elif node := _node(status, target):
        yield node


def _walk(path: Path, target: str) -> Iterator[LinuxDevice]:
    """Yield the nodes below; links are not followed, what has gone meanwhile is left out."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        try:
            entries = sorted(os.listdir(path))
        except OSError:
            return
        for entry in entries:
            yield from _walk(path / entry, f"{target}/{entry}")
    elif node := _node(status, target):
        yield node


def _node(status: os.stat_result, target: str) -> LinuxDevice | None:
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is None or not target.isprintable():  # the specification is text
        return None
    return LinuxDevice(
        path=target,
        type=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        file_mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
