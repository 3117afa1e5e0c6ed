"""The devices that a host's CDI files describe, as they were when they were read (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.lib.errors import System
from moorage.spec.cdi import ContainerEdits, Device, Specification


@dataclass(frozen=True, slots=True)
class Found:
    """A file that could be read; of two files that name a device the higher *priority* counts."""

    path: str
    priority: int
    document: Specification


@dataclass(frozen=True, slots=True)
class Known:
    """A device and the file it stands in."""

    device: Device
    file: Found

    def annotations(self) -> dict[str, str]:
        """Return what is noted about it: the file's notes, then its own."""
        return {**(self.file.document.annotations or {}), **(self.device.annotations or {})}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All devices by their full names, in order, and what is wrong with files, by path."""

    enabled: bool = False  # whether there are directories to look in at all
    devices: Mapping[str, Known] = field(default_factory=dict)
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[str]:
        """Return the full names of all devices of ``vendor/class``."""
        return [name for name in self.devices if name.startswith(f"{kind}=")]

    def edits(self, names: Iterable[str]) -> list[ContainerEdits]:
        """Return what gives a container these devices: those of their files once, before theirs.

        Raises: System, with Docker's sentence.
        """
        wanted = list(dict.fromkeys(names))
        if unknown := [name for name in wanted if name not in self.devices]:
            raise System(
                f"CDI device injection failed: unresolvable CDI devices {', '.join(unknown)}",
                hint="; ".join(self.warnings()) or None,
            )
        edits: list[ContainerEdits] = []
        files: set[str] = set()
        for name in wanted:
            known = self.devices[name]
            if known.file.path not in files:
                files.add(known.file.path)
                edits.append(known.file.document.container_edits)
            edits.append(known.device.container_edits)
        return edits

    def warnings(self) -> list[str]:
        """Return what ``info`` says of files that are not used."""
        return [
            f"CDI: Error associated with spec file {path}: {error}"
            for path, errors in self.errors.items()
            for error in errors
        ]


def build(found: Iterable[Found], errors: Mapping[str, Sequence[str]]) -> Catalogue:
    """Put files together. A device that two files of one priority name is nobody's."""
    devices: dict[str, Known] = {}
    conflicts: set[str] = set()
    problems = {path: list(of_file) for path, of_file in errors.items()}
    for file in found:
        for device in file.document.devices or []:
            name = f"{file.document.kind}={device.name}"
            other = devices.get(name)
            if other is None or file.priority > other.file.priority:
                conflicts.discard(name)
                devices[name] = Known(device, file)
            elif file.priority == other.file.priority:
                conflicts.add(name)
                both = f'(specs "{file.path}", "{other.file.path}")'
                for path in (file.path, other.file.path):
                    problems.setdefault(path, []).append(f'conflicting device "{name}" {both}')
    usable = {name: devices[name] for name in sorted(devices) if name not in conflicts}
    return Catalogue(enabled=True, devices=usable, errors=problems)
