"""Filters of the cache as BuildKit's clients write them, in our own words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.filters import Filters

_TERM: Final = re.compile(r"([\w.-]+)(?:(==|~=|!=|=)(.*))?\Z", re.DOTALL)
_NAMES: Final = {
    "id": "id",
    "parents": "parent",
    "type": "type",
    "description": "description",
    "inuse": "inuse",
    "shared": "shared",
    "private": "private",
    "until": "until",
}


def read(texts: Iterable[str]) -> Filters:
    """Return what the terms ask for; all of them have to hold.

    Raises: InvalidParameter (a term that is not understood, by name).
    """
    terms: dict[str, list[str]] = {}
    for text in texts:
        for part in filter(None, (part.strip() for part in text.split(","))):
            match = _TERM.match(part)
            name = _NAMES.get(match[1]) if match else None
            if match is None or name is None or match[2] == "!=":
                raise InvalidParameter(
                    f"invalid filter {part!r}", hint=f"known: {', '.join(_NAMES)}, with == or ~="
                )
            value = (match[3] or "true").strip("\"'")
            terms.setdefault(name, []).append(value)
    return Filters(terms)
