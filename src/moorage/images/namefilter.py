"""The filters by the name of an image."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from moorage.spec.engine.filters import Filters
from moorage.spec.reference import Reference


def matching_names(names: Sequence[Reference], filters: Filters) -> list[Reference] | None:
    """Return the *names* that the ``reference`` filter leaves; None if it leaves the image out."""
    if "reference" not in filters:
        return list(names)
    patterns = filters.get("reference")
    kept = [name for name in names if any(matches(name, pattern) for pattern in patterns)]
    return kept or None


def matches(name: Reference, pattern: str) -> bool:
    """Whether a name matches a pattern, whole or without its tag; ``*`` stops at a slash."""
    shown = {name.familiar, name.familiar_name, str(name), name.name}
    return any(_glob(text, pattern) for text in shown)


def _glob(text: str, pattern: str) -> bool:
    parts, wanted = text.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True)
    )
