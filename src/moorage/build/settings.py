"""The builder's part of the daemon's configuration."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from moorage.build import entitlements
from moorage.spec.engine.filters import Filters
from moorage.spec.platforms import Platform


class GcRule(Struct, frozen=True, kw_only=True):
    """What goes after a build, least recently used first; sizes of 0 limit nothing."""

    filters: Filters = Filters()
    everything: bool = False  # what images share too, which frees nothing by itself
    reserved_bytes: int = 0  # this much always stays
    max_bytes: int = 0  # never more than this
    min_free_bytes: int = 0  # of the disk


USUAL_RULES: Final = (GcRule(max_bytes=20 << 30),)


class Settings(Struct, frozen=True, kw_only=True):
    """What the builder may do, and for which machine it builds."""

    platform: Platform  # of this machine
    entitlements: frozenset[str] = entitlements.PERMITTED  # that a client can be granted
    cache_rules: tuple[GcRule, ...] = USUAL_RULES
