"""What vertices give: a stack of layers, or a directory of files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from moorage.build.contextfiles import ContextFiles
from moorage.spec.digest import Digest


class LayerRef(Struct, frozen=True):
    """One layer of a stack."""

    diff_id: Digest
    chain_id: Digest
    size: int = 0  # bytes of its files


class Snapshot(Struct, frozen=True):
    """A root file system: layers, lowest first."""

    layers: tuple[LayerRef, ...] = ()

    @property
    def chain_id(self) -> Digest | None:
        """Return what names the whole stack; None for the empty one."""
        return self.layers[-1].chain_id if self.layers else None


class Files(Struct, frozen=True, kw_only=True):
    """Files outside of any image: a context, a checkout, a download.

    *identity* changes whenever a file does; two with one identity are equal.
    """

    root: Path
    identity: str
    as_root: bool = True  # the owners on disk mean nothing: all belongs to root
    file: str = ""  # the only file, for a download
    context: ContextFiles | None = None  # if a client has sent them: perhaps not yet unpacked
    is_kept: bool = False  # its files are replaced, never written to: links to them may be made


Result: TypeAlias = Snapshot | Files
