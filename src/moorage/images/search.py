"""``docker search``: the v1 index of a registry, filtered here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.lib.errors import InvalidParameter
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.spec import reference as references
from moorage.spec.engine.filters import Filters

if TYPE_CHECKING:
    from moorage.registry.registries import Registries, SearchResult

_FILTERS: Final = ("is-automated", "is-official", "stars")
_LIMIT: Final = 100
_DEFAULT: Final = 25


async def search(
    registries: Registries,
    term: str,
    *,
    limit: int,
    filters: Filters,
    credentials: Credentials = ANONYMOUS,
) -> list[SearchResult]:
    """Return the repositories that match *term*, which may begin with a registry's host.

    Raises: InvalidParameter, Unauthorized, System.
    """
    filters.require_known(_FILTERS)
    limit = limit or _DEFAULT
    if not 1 <= limit <= _LIMIT:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, {_LIMIT}]")
    if "://" in term:
        raise InvalidParameter(
            f"invalid repository name: repository name ({term}) should not have a scheme"
        )
    host, slash, rest = term.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = references.DEFAULT_DOMAIN, term.removeprefix("library/")
    stars = _stars(filters)
    official, automated = _flag(filters, "is-official"), _flag(filters, "is-automated")
    found = await registries.search(host, rest, limit=limit, credentials=credentials)
    return [
        entry
        for entry in found
        if entry.star_count >= stars
        and official in {None, entry.is_official}
        and automated in {None, entry.is_automated}
    ][:limit]


def _flag(filters: Filters, name: str) -> bool | None:
    return filters.flag(name) if name in filters else None


def _stars(filters: Filters) -> int:
    values = filters.get("stars")
    try:
        return max((int(value) for value in values), default=0)
    except ValueError as error:
        shown = " ".join(values)
        raise InvalidParameter(f"invalid filter 'stars={shown}'") from error
