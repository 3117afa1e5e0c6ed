"""Addresses (URLs) that somebody else wrote: those that are none are their fault, not ours."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from moorage.lib.errors import InvalidParameter, System


def checked(url: str) -> str:
    """Return *url*, each part of which can be read. Raises: InvalidParameter."""
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise InvalidParameter(f"invalid address: {error}") from error
    return url


def follow(base: str, where: str) -> str:
    """Return where a server leads with *where*, which may be relative to *base*. Raises: System."""
    try:
        return checked(urljoin(base, where))
    except (ValueError, InvalidParameter) as error:
        host = urlsplit(base).hostname or "a server"
        raise System(f"{host} names an address that is none: {error}") from error
