"""The builder's part of the daemon's configuration."""

from __future__ import annotations

from msgspec import Struct

from moorage.build import entitlements
from moorage.spec.platforms import Platform


class Settings(Struct, frozen=True, kw_only=True):
    """What the builder may do, and for which machine it builds."""

    platform: Platform  # of this machine
    entitlements: frozenset[str] = entitlements.PERMITTED  # that a client can be granted
    keep_bytes: int = 20 << 30  # what the cache may take
