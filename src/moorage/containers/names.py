"""Names of containers: what is allowed, and what a nameless one is called."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from moorage.lib import ids
from moorage.lib.errors import InvalidParameter

_ALLOWED: Final = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME: Final = re.compile(_ALLOWED + r"+\Z")
_ATTEMPTS: Final = 12


def normalise(name: str) -> str:
    """Return *name* without its leading slash.

    Raises: InvalidParameter, with Docker's sentence.
    """
    bare = name.removeprefix("/")
    if not _NAME.match(bare):
        raise InvalidParameter(f"Invalid container name ({name}), only {_ALLOWED} are allowed")
    return bare


def invent(taken: Callable[[str], bool], container_id: str) -> str:
    """Return a free name for a container that was given none."""
    for attempt in range(_ATTEMPTS):
        name = ids.random_name(attempt)
        if not taken(name):
            return name
    return ids.short(container_id)
