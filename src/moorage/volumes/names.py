"""Names of volumes, and the words Docker puts before what went wrong with one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from moorage.lib.errors import InvalidParameter, MoorageError, System

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_RULE: Final = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_LIMIT: Final = 255  # one path component


def check_name(name: str) -> None:
    """Refuse a name that the local driver cannot use as a directory.

    Raises: InvalidParameter, with Docker's sentences.
    """
    if len(name.encode()) <= 1:
        raise InvalidParameter(
            "volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.match(name):
        raise InvalidParameter(
            f'"{name}" includes invalid characters for a local volume name, only "{_RULE}" are'
            " allowed. If you intended to pass a host directory, use absolute path"
        )
    if len(name) > _LIMIT:
        raise InvalidParameter(f"volume name is too long, {_LIMIT} characters are the most")


@contextmanager
def operation(verb: str, name: str) -> Iterator[None]:
    """Put ``create NAME: `` before the message of an error."""
    try:
        yield
    except MoorageError as error:
        error.message = f"{verb} {name}: {error.message}"
        raise
    except OSError as error:
        raise System(f"{verb} {name}: {error.strerror or error}") from error
