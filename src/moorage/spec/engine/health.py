"""Values of the Engine API about health checks.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import Struct


class HealthConfig(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """The document's ``HealthConfig``."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0


class Health(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``Health``."""

    status: str = ""
    failing_streak: int = 0
    log: list[HealthcheckResult] | None = None


class HealthcheckResult(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``HealthcheckResult``."""

    start: str = ""
    end: str = ""
    exit_code: int = 0
    output: str = ""
