"""Platforms: ``os/architecture/variant``, normalised and matched as containerd does.

A machine can run its own platform and the older ones below it (armv7 runs armv6 images; amd64 v3
runs v2), best first. Reading which machine this is belongs to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from msgspec import Struct, field

from moorage.lib.errors import InvalidParameter

T = TypeVar("T")


class Platform(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ``platform`` object of an OCI descriptor."""

    architecture: str = ""
    os: str = ""
    os_version: str = field(default="", name="os.version")
    os_features: list[str] = field(default_factory=list, name="os.features")
    variant: str = ""

    def __str__(self) -> str:
        """Return ``linux/arm64/v8``; empty parts are left out."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


_SPECIFIER: Final = re.compile(r"[A-Za-z0-9_.-]+\Z", re.ASCII)
_OS_ALIASES: Final = {"macos": "darwin"}
_ARCHITECTURES: Final[dict[str, tuple[str, str]]] = {
    "i386": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5l": ("arm", "v5"),
    "mips64el": ("mips64le", ""),
    "ppc64el": ("ppc64le", ""),
    "loongarch64": ("loong64", ""),
}
_KNOWN_OS: Final = frozenset({"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd"})
_KNOWN_ARCHITECTURES: Final = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x", "wasm"}
)


def normalize(platform: Platform) -> Platform:
    """Return *platform* with today's spelling; the usual variant is left out (amd64/v1, arm64/v8).

    Without a variant ``arm`` means ``v7``.
    """
    os_name = platform.os.lower()
    os_name = _OS_ALIASES.get(os_name, os_name)
    architecture, variant = platform.architecture.lower(), platform.variant.lower()
    if architecture in _ARCHITECTURES:
        architecture, implied = _ARCHITECTURES[architecture]
        variant = variant or implied
    if variant and variant[0].isdigit():
        variant = f"v{variant}"
    if architecture == "arm" and not variant:
        variant = "v7"
    if (architecture, variant) in {("arm64", "v8"), ("arm64", "v8.0"), ("amd64", "v1")}:
        variant = ""
    return Platform(
        architecture=architecture,
        os=os_name,
        os_version=platform.os_version,
        os_features=platform.os_features,
        variant=variant,
    )


def parse(text: str, *, default: Platform | None = None) -> Platform:
    """Parse ``linux``, ``arm64`` or ``linux/arm64/v8``; what is missing is taken from *default*.

    Raises: InvalidParameter, with containerd's sentences.
    """
    here = default or Platform(os="linux", architecture="amd64")
    parts = text.split("/")
    for part in parts:
        if not _SPECIFIER.match(part):
            raise InvalidParameter(
                f'"{part}" is an invalid component of "{text}":'
                ' platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument'
            )
    if len(parts) == 1:
        only = normalize(Platform(os=parts[0], architecture=here.architecture))
        if only.os in _KNOWN_OS:
            return Platform(os=only.os, architecture=here.architecture, variant=here.variant)
        only = normalize(Platform(os=here.os, architecture=parts[0]))
        if only.architecture in _KNOWN_ARCHITECTURES:
            return only
        raise InvalidParameter(
            f'"{text}": unknown operating system or architecture: invalid argument'
        )
    if len(parts) > 3:
        raise InvalidParameter(f'"{text}": cannot parse platform specifier: invalid argument')
    variant = parts[2] if len(parts) > 2 else ""
    return normalize(Platform(os=parts[0], architecture=parts[1], variant=variant))


def of_machine(machine: str, *, os_name: str = "linux") -> Platform:
    """Return the platform of uname's *machine* (``x86_64``, ``aarch64`` …)."""
    return normalize(Platform(os=os_name, architecture=machine))


def candidates(wanted: Platform) -> list[Platform]:
    """Return what runs on *wanted*, best first."""
    wanted = normalize(wanted)
    versions: Sequence[str] = [wanted.variant]
    if wanted.architecture == "arm":
        top = int(wanted.variant[1:]) if wanted.variant[1:].isdigit() else 7
        versions = [f"v{number}" for number in range(top, 4, -1)]
    elif wanted.architecture == "amd64" and wanted.variant[1:].isdigit():
        top = int(wanted.variant[1:])
        versions = [*(f"v{number}" for number in range(top, 1, -1)), ""]
    runs = [Platform(os=wanted.os, architecture=wanted.architecture, variant=v) for v in versions]
    if wanted.architecture == "arm64":
        runs += [Platform(os=wanted.os, architecture="arm", variant=f"v{n}") for n in (8, 7, 6, 5)]
    return runs


def matches(wanted: Platform, offered: Platform) -> bool:
    """Whether *offered* is exactly *wanted*, spelling aside; an empty variant takes any."""
    left, right = normalize(wanted), normalize(offered)
    same = (left.os, left.architecture) == (right.os, right.architecture)
    return same and left.variant == right.variant


def best(wanted: Platform, offers: Iterable[tuple[Platform, T]]) -> T | None:
    """Return the offer that suits *wanted* best, or None if none can run there."""
    table = [(normalize(platform), value) for platform, value in offers]
    for candidate in candidates(wanted):
        for platform, value in table:
            if matches(candidate, platform):
                return value
    return None
