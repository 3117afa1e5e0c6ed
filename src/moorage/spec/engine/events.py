"""Values of the Engine API about events.

Names and fields are those of its document (1.55).

A list or map that is ``None`` is Go's nil: it is written as ``null``.
"""

from __future__ import annotations

from msgspec import Struct, field


class EventActor(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``EventActor``."""

    id: str = field(default="", name="ID")
    attributes: dict[str, str] | None = None


class EventMessage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's ``EventMessage``."""

    type: str = ""
    action: str = ""
    actor: EventActor | None = None
    scope: str = field(default="", name="scope")
    time: int = field(default=0, name="time")
    time_nano: int = field(default=0, name="timeNano")
