"""Which records of the cache go: filters of ``builder prune`` and limits of garbage collection.

Pure: records in, ids out, least recently used first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

from moorage.build.cache import Record
from moorage.lib import timestamps
from moorage.lib.errors import InvalidParameter

FILTERS: Final = frozenset(
    {"until", "unused-for", "id", "parent", "type", "description", "inuse", "shared", "private"}
    | {"label", "label!"}  # of ``system prune``, which asks every kind of object the same
)


class Limits(Struct, frozen=True, kw_only=True):
    """What may stay; None: no limit."""

    reserved_bytes: int | None = None  # this much always stays
    max_bytes: int | None = None  # never more than this
    to_free_bytes: int | None = None  # at least this much goes (free space of the disk)


class Facts(Struct, frozen=True, kw_only=True):
    """What the records themselves do not say."""

    in_use: Callable[[str], bool]
    shared: Callable[[Record], bool]  # its layer belongs to an image too


def matcher(
    filters: Mapping[str, Collection[str]], facts: Facts, now_ns: int
) -> Callable[[Record], bool]:
    """Return what says of a record whether *filters* mean it.

    Raises: InvalidParameter.
    """
    until = check(filters, now_ns)

    def accepts(record: Record) -> bool:
        checks = (
            all(record.last_used_ns < limit for limit in until),
            not filters.get("label"),  # records have none
            _any(filters.get("id"), record.id.startswith),
            _any(filters.get("parent"), lambda v: v in record.parents),
            _any(filters.get("type"), lambda v: record.kind == v),
            _any(filters.get("description"), lambda v: v in record.description),
            _any(filters.get("inuse"), lambda v: facts.in_use(record.id) is _truth(v)),
            _any(filters.get("shared"), lambda v: facts.shared(record) is _truth(v)),
            _any(filters.get("private"), lambda v: facts.shared(record) is not _truth(v)),
        )
        return all(checks)

    return accepts


def check(filters: Mapping[str, Collection[str]], now_ns: int) -> list[int]:
    """Return the times before which a record must have been used last.

    Raises: InvalidParameter, for a name or a time that cannot be.
    """
    for name in filters:
        if name not in FILTERS:
            raise InvalidParameter(f"invalid filter '{name}'")
    return [
        _instant(key, value, now_ns)
        for key in ("until", "unused-for")
        for value in filters.get(key, ())
    ]


def refuse_alternatives(filters: Mapping[str, Collection[str]]) -> None:
    """Refuse a second value of one filter, as dockerd does. Raises: InvalidParameter."""
    for name, values in filters.items():
        if len(values) > 1 and not name.startswith("label"):
            raise InvalidParameter("filters expect only one value", hint=name)


def choose(
    records: Iterable[Record],
    *,
    wanted: Callable[[Record], bool],
    facts: Facts,
    limits: Limits,
    everything: bool,
) -> list[Record]:
    """Return the records to remove, least recently used first.

    What a running build needs stays; what images share goes only if *everything* is asked for,
    and then frees nothing by itself.
    """
    total = 0
    candidates: list[Record] = []
    for record in records:
        size = 0 if facts.shared(record) else record.size
        total += size
        if facts.in_use(record.id) or not wanted(record):
            continue
        if facts.shared(record) and not everything:
            continue
        candidates.append(record)
    candidates.sort(key=lambda record: record.last_used_ns)
    floor = _floor(limits, total)
    chosen: list[Record] = []
    for record in candidates:
        if floor is not None and total <= floor:
            break
        chosen.append(record)
        total -= 0 if facts.shared(record) else record.size
    return chosen


def _floor(limits: Limits, total: int) -> int | None:
    """Return down to which size records go; None: all of them."""
    floors = [
        value
        for value in (
            limits.max_bytes,
            None if limits.to_free_bytes is None else total - limits.to_free_bytes,
        )
        if value is not None
    ]
    if not floors:
        return limits.reserved_bytes or None
    return max(min(floors), limits.reserved_bytes or 0)


def _any(values: Collection[str] | None, test: Callable[[str], bool]) -> bool:
    return not values or any(test(value) for value in values)


def _truth(text: str) -> bool:
    return text.lower() not in {"false", "0", "f"}


def _instant(name: str, text: str, now_ns: int) -> int:
    """Return the time that the filter *name* means by *text*."""
    try:
        return timestamps.parse(text, now_ns=now_ns)
    except ValueError as error:
        raise InvalidParameter(
            f"\"{name}\" filter expects a duration (e.g., '24h') or a timestamp:"
            f' failed to parse value as time or duration: "{text}"'
        ) from error
