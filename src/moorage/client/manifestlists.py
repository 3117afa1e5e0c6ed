"""Manifest lists being made, kept on this machine where and as docker keeps them.

::

    manifests/                              in the directory of config.json
        127.0.0.1-5000_app-1/               a list; in names ":" is "-" and "/" is "_"
            127.0.0.1-5000_app-arm64        one manifest: {"Ref", "Descriptor", "Raw", …}

So docker and moor can take turns at one list.
"""

from __future__ import annotations

from pathlib import Path

from moorage.client import jsonwire
from moorage.lib import atomicfile
from moorage.lib.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from moorage.client.jsonwire import Json
    from moorage.spec.reference import Reference

_FILE_MODE = 0o644


class ManifestLists:
    """The lists below the configuration *directory*."""

    def __init__(self, directory: str) -> None:
        self._root = Path(directory) / "manifests"

    def manifests(self, name: Reference) -> list[Json]:
        """Return the manifests of a list in the order of their names; none: there is no list.

        Raises: InvalidParameter (a file that is damaged).
        """
        directory = self._directory(name)
        if not directory.is_dir():
            return []
        files = sorted(f for f in directory.iterdir() if not f.name.startswith("."))
        return [_read(file) for file in files]

    def manifest(self, name: Reference, member: Reference) -> Json | None:
        """Return one manifest of a list. Raises: InvalidParameter (its file is damaged)."""
        file = self._directory(name) / _file_name(member)
        return _read(file) if file.is_file() else None

    def keep(self, name: Reference, members: Iterable[tuple[Reference, Json]]) -> None:
        """Put manifests into a list, which is made if need be."""
        directory = self._directory(name)
        directory.mkdir(parents=True, exist_ok=True)
        for member, manifest in members:
            data = jsonwire.encode(manifest).encode()
            atomicfile.write(directory / _file_name(member), data, mode=_FILE_MODE)

    def forget(self, name: Reference) -> bool:
        """Remove a list; return whether there was one."""
        directory = self._directory(name)
        there = directory.is_dir()
        atomicfile.remove_tree(directory)
        return there

    def _directory(self, name: Reference) -> Path:
        return self._root / _file_name(name)


def _file_name(name: Reference) -> str:
    return str(name).replace(":", "-").replace("/", "_")


def _read(file: Path) -> Json:
    try:
        found = jsonwire.decode(file.read_bytes())
    except ValueError as e:
        raise InvalidParameter(f"{file}: {e}") from e
    if not isinstance(found, dict) or not isinstance(found.get("Descriptor"), dict):
        raise InvalidParameter(f"{file} holds no manifest")
    return found
