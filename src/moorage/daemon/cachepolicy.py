"""``builder.gc`` of the configuration as the rules that the build cache is kept by.

Source: dockerd's reference (``builder.gc``) and BuildKit's ``PruneInfo``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from moorage.build import prune
from moorage.build.settings import USUAL_RULES, GcRule
from moorage.daemon.config import GcOption, GcPolicy
from moorage.lib import clock
from moorage.lib.errors import InvalidParameter
from moorage.lib.units import parse_bytes
from moorage.spec.engine.filters import Filters

T = TypeVar("T")


def rules(gc: GcOption) -> tuple[GcRule, ...]:
    """Return the rules, in their order; none if collection is switched off.

    ``keepStorage`` is the older name of ``reservedSpace``; alone, as the default, it is a limit
    that holds. Raises: InvalidParameter.
    """
    if gc.enabled is False:
        return ()
    if gc.policy:
        return tuple(_rule(f"gc.policy[{number}]", rule) for number, rule in enumerate(gc.policy))
    sizes = {
        name: _size(f"gc.default{key}", getattr(gc, f"default_{name}"))
        for name, key in {
            "keep_storage": "KeepStorage",
            "reserved_space": "ReservedSpace",
            "max_used_space": "MaxUsedSpace",
            "min_free_space": "MinFreeSpace",
        }.items()
    }
    most = sizes["max_used_space"] or sizes["keep_storage"]
    if not most and not sizes["reserved_space"]:
        most = USUAL_RULES[0].max_bytes
    return (
        GcRule(
            reserved_bytes=sizes["reserved_space"],
            max_bytes=most,
            min_free_bytes=sizes["min_free_space"],
        ),
    )


def _rule(where: str, policy: GcPolicy) -> GcRule:
    rule = GcRule(
        filters=_filters(where, policy.filter),
        everything=policy.all,
        reserved_bytes=_size(
            f"{where}.reservedSpace", policy.reserved_space or policy.keep_storage
        ),
        max_bytes=_size(f"{where}.maxUsedSpace", policy.max_used_space),
        min_free_bytes=_size(f"{where}.minFreeSpace", policy.min_free_space),
    )
    _checked(f"{where}.filter", lambda: prune.check(rule.filters.terms, clock.now_ns()))
    return rule


def _filters(where: str, given: list[str] | dict[str, dict[str, bool]]) -> Filters:
    """Read ``["name=value"]``, or the older ``{"name": {"value": true}}``."""
    if isinstance(given, dict):
        return Filters(
            {name: [v for v, on in values.items() if on] for name, values in given.items()}
        )
    found = Filters()
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise _bad(f"{where}.filter", f"{text!r} is no name=value")
        found.terms.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _size(where: str, text: str) -> int:
    return _checked(where, lambda: parse_bytes(text)) if text else 0


def _checked(where: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (ValueError, InvalidParameter) as error:
        raise _bad(where, str(error)) from error


def _bad(where: str, reason: str) -> InvalidParameter:
    return InvalidParameter(f"invalid configuration: builder: {where}: {reason}")
