"""The filters that list and prune share."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from moorage.lib import clock, units
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.filters import Filters
from moorage.spec.reference import Reference


def until(filters: Filters, *, now_ns: int | None = None) -> int | None:
    """Return the time of ``until``: a duration ago, a Unix time, or RFC 3339.

    Raises: InvalidParameter.
    """
    values = filters.get("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return parse_time(values[0], clock.now_ns() if now_ns is None else now_ns)


def parse_time(text: str, now_ns: int) -> int:
    """Parse what Docker takes as a time (pure). Raises: InvalidParameter."""
    seconds, dot, fraction = text.partition(".")
    if seconds.isdigit() and (not dot or fraction.isdigit()):
        return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0") if fraction else 0)
    try:
        return now_ns - units.parse_duration(text)
    except ValueError:
        pass
    whole = text
    for pattern in ("", "Z", ":00Z", ":00:00Z", "T00:00:00Z"):
        try:
            return clock.parse_rfc3339(whole + pattern)
        except ValueError:
            continue
    raise InvalidParameter(f"invalid value for until filter: {text!r}")


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
