"""What an extraction or packing may do and where it stops."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from msgspec import Struct

from moorage.lib.errors import InvalidParameter

IGNORED_XATTRS: Final = (  # they would steer the overlay file system instead of describing a file
    "trusted.overlay.",
    "user.overlay.",
    "user.fuseoverlayfs.",
)
UNLIMITED: Final = 1 << 62


class Whiteouts(Enum):
    """What a member ``.wh.NAME`` means."""

    KEEP = "keep"  # nothing: an ordinary file (cp, import, ADD)
    OVERLAY = "overlay"  # a device 0:0, and an attribute on opaque directories
    FUSE = "fuse"  # the same, in fuse-overlayfs' attributes
    APPLY = "apply"  # remove NAME, which an earlier layer put into this very tree


class Limits(Struct, frozen=True, kw_only=True):
    """Where an archive is refused as a bomb."""

    bytes_total: int = UNLIMITED  # of all files, holes not counted
    entries: int = 4_000_000

    def check(self, bytes_total: int, entries: int) -> None:
        """Refuse what is over. Raises: InvalidParameter."""
        if bytes_total > self.bytes_total:
            raise InvalidParameter(
                f"the archive unpacks to more than the {self.bytes_total} bytes allowed"
            )
        if entries > self.entries:
            raise InvalidParameter(f"the archive has more than the {self.entries} entries allowed")


class ExtractOptions(Struct, frozen=True, kw_only=True):
    """How to unpack."""

    whiteouts: Whiteouts = Whiteouts.KEEP
    limits: Limits = Limits()
    owner: tuple[int, int] | None = None  # uid and gid for everything, instead of the archive's
    devices: bool = True
    xattrs: bool = True
    replace: bool = True  # a directory by something else and the reverse; else an error, as for cp
    rename: Callable[[str], str | None] | None = None  # cleaned name to its new name, None: skip
    ids: Callable[[int, int], tuple[int, int]] | None = None  # archive's uid, gid to those on disk


class PackOptions(Struct, frozen=True, kw_only=True):
    """How to pack."""

    nanoseconds: bool = False  # else whole seconds, as Docker writes layers
    owner: tuple[int, int] | None = None
    xattrs: bool = True
    sparse: bool = False  # leave holes out; else they are written as zeros, as Docker does
    include: Callable[[str], bool] | None = None  # by name below the root; False prunes the tree
    ids: Callable[[int, int], tuple[int, int]] | None = None  # uid, gid on disk to the archive's
