"""Seccomp profiles in Docker's format: rules that depend on capabilities, machine and kernel.

``--security-opt seccomp=FILE`` sends such a profile as JSON. A profile is *resolved* for one
container to the plain filter of the runtime specification.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection
from typing import Final

import msgspec
from msgspec import Struct, field

from moorage.lib.errors import InvalidParameter
from moorage.spec.oci.runtime import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall

MACHINES: Final = {
    # uname -m: (Go's name, libseccomp's architecture)
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
}


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """When a rule holds; every list given must be met."""

    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    min_kernel: str | None = None


class Rule(Struct, frozen=True, kw_only=True, rename="camel"):
    """One rule of a profile."""

    names: tuple[str, ...] | None = None
    name: str | None = None  # the old spelling of one name
    action: str
    errno_ret: int | None = None
    args: tuple[LinuxSeccompArg, ...] | None = None
    comment: str = ""
    includes: Condition | None = None
    excludes: Condition | None = None


class ArchMapping(Struct, frozen=True, kw_only=True, rename="camel"):
    """An architecture and those whose programs run on it too."""

    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class Profile(Struct, frozen=True, kw_only=True, rename="camel"):
    """A whole profile."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] | None = None
    arch_map: tuple[ArchMapping, ...] | None = None
    flags: tuple[str, ...] | None = None
    listener_path: str | None = None
    listener_metadata: str | None = None
    syscalls: tuple[Rule, ...] | None = field(default=())


def parse(text: bytes | str) -> Profile:
    """Read a profile.

    Raises: InvalidParameter, with Docker's sentence.
    """
    try:
        profile = msgspec.json.decode(text, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"Decoding seccomp profile failed: {error}") from error
    if profile.architectures and profile.arch_map:
        raise InvalidParameter(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either"
            " 'architectures' or 'archMap'"
        )
    for rule in profile.syscalls or ():
        if rule.name and rule.names:
            raise InvalidParameter(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name'"
                " or 'names'"
            )
    return profile


def resolve(
    profile: Profile,
    capabilities: Collection[str],
    *,
    machine: str | None = None,
    kernel: str | None = None,
) -> LinuxSeccomp:
    """Return the filter of *profile* for a process with *capabilities* (its bounding set)."""
    uname = os.uname()
    return _resolve(
        profile, frozenset(capabilities), machine or uname.machine, kernel or uname.release
    )


@functools.lru_cache(maxsize=64)
def _resolve(
    profile: Profile, capabilities: frozenset[str], machine: str, kernel: str
) -> LinuxSeccomp:
    go_name, native = MACHINES.get(machine, (machine, ""))
    version = _version(kernel)
    syscalls = [
        LinuxSyscall(
            names=list(rule.names or ((rule.name,) if rule.name else ())),
            action=rule.action,
            errno_ret=rule.errno_ret,
            args=list(rule.args) if rule.args else None,
        )
        for rule in profile.syscalls or ()
        if _included(rule.includes, capabilities, go_name, version)
        and not _excluded(rule.excludes, capabilities, go_name, version)
    ]
    architectures = list(profile.architectures or ())
    for mapping in profile.arch_map or ():
        if mapping.architecture == native:
            architectures = [native, *(mapping.sub_architectures or ())]
    return LinuxSeccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=architectures or None,
        flags=list(profile.flags) if profile.flags else None,
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
        syscalls=syscalls,
    )


def _included(
    condition: Condition | None,
    capabilities: frozenset[str],
    arch: str,
    kernel: tuple[int, ...],
) -> bool:
    if condition is None:
        return True
    return (
        (not condition.arches or arch in condition.arches)
        and set(condition.caps or ()) <= capabilities
        and (not condition.min_kernel or kernel >= _version(condition.min_kernel))
    )


def _excluded(
    condition: Condition | None,
    capabilities: frozenset[str],
    arch: str,
    kernel: tuple[int, ...],
) -> bool:
    if condition is None:
        return False
    return (
        arch in (condition.arches or ())
        or not capabilities.isdisjoint(condition.caps or ())
        or bool(condition.min_kernel and kernel >= _version(condition.min_kernel))
    )


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
