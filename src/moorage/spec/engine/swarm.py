"""Values of the Engine API about joining a swarm, as far as they are looked at.

Names and fields are those of its document (1.55).
"""

from __future__ import annotations

from msgspec import Struct


class SwarmJoinRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The document's body of ``SwarmJoin``."""

    listen_addr: str = ""
    advertise_addr: str = ""
    data_path_addr: str = ""
    remote_addrs: list[str] | None = None
    join_token: str = ""
