"""The request target: version prefix off, percent-encoding off, and nothing left to be read twice.

An authorisation plugin, the log and the router must see the same path. So a path that is not in
its normal form (``//``, ``.``, ``..`` in any encoding, NUL, a backslash) is refused, not repaired.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from moorage.lib.errors import InvalidParameter

API_VERSION: Final = (1, 55)
MIN_API_VERSION: Final = (1, 24)
_VERSIONED: Final = re.compile(r"/v(\d{1,4})\.(\d{1,4})(?=/)")


def text(version: tuple[int, int]) -> str:
    """Format a version as ``1.55``."""
    return f"{version[0]}.{version[1]}"


def split_target(target: str) -> tuple[tuple[int, int], str, str]:
    """Split a request target into (API version, decoded path without the version, raw query).

    Raises: InvalidParameter.
    """
    if target.startswith("http://"):  # absolute form, as a proxy sends it
        target = "/" + target[7:].partition("/")[2]
    encoded, _, query = target.partition("?")
    path = unquote(encoded, errors="strict") if "%" in encoded else encoded
    _require_normal(path)
    found = _VERSIONED.match(path)
    if not found:
        return API_VERSION, path, query
    version = (int(found[1]), int(found[2]))
    _require_supported(version)
    return version, path[found.end() :], query


def _require_normal(path: str) -> None:
    if not path.startswith("/"):
        raise InvalidParameter("the request path must begin with '/'")
    if "\0" in path or "\\" in path:
        raise InvalidParameter("the request path has a character that no path of the API has")
    if "//" in path or "/./" in path or "/../" in path or path.endswith(("/.", "/..")):
        raise InvalidParameter(
            "the request path is not in its normal form",
            hint="no empty, '.' or '..' segments, in any encoding",
        )


def _require_supported(version: tuple[int, int]) -> None:
    if version > API_VERSION:
        raise InvalidParameter(
            f"client version {text(version)} is too new."
            f" Maximum supported API version is {text(API_VERSION)}"
        )
    if version < MIN_API_VERSION:
        raise InvalidParameter(
            f"client version {text(version)} is too old."
            f" Minimum supported API version is {text(MIN_API_VERSION)},"
            " please upgrade your client to a newer version"
        )
