"""Differences between versions of the Engine API: inside, only the newest shape is known.

Each line says: clients *before* that version, for that operation, have their body lifted to the
newest shape, or the result lowered to theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

Version = tuple[int, int]
Document = Any  # a parsed JSON document, changed in place
Change = Callable[[Document], None]

LIFT: Final[list[tuple[Version, str, Change]]] = []
LOWER: Final[list[tuple[Version, str, Change]]] = []


def lift(operation: str, version: Version) -> Change | None:
    """Return what brings a body of *version* to the newest shape; None if nothing is to be done."""
    changes = [change for before, name, change in LIFT if name == operation and version < before]
    return _chain(changes) if changes else None


def lower(operation: str, version: Version) -> Callable[[object], object] | None:
    """Return what brings a result to the shape of *version*; None if nothing is to be done."""
    changes = [change for before, name, change in LOWER if name == operation and version < before]
    if not changes:
        return None
    apply = _chain(changes)

    def lowered(value: object) -> object:
        document = msgspec.to_builtins(value)
        apply(document)
        return document

    return lowered


def _chain(changes: list[Change]) -> Change:
    def apply(document: Document) -> None:
        for change in changes:
            change(document)

    return apply
