"""The messages of the services that a client offers in its session."""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Struct, field


class BytesMessage(Struct, frozen=True, kw_only=True):
    """A piece of a stream: uploads, agents, files sent to the client."""

    data: Annotated[bytes, 1] = b""


class PacketKind(enum.IntEnum):
    """What a packet of fsutil is."""

    STAT = 0  # one name of the tree; without a stat: the tree is complete
    REQUEST = 1  # the content of the name of this number
    DATA = 2  # a piece of it; empty: its end
    FIN = 3
    ERROR = 4


class Stat(Struct, frozen=True, kw_only=True):
    """One name of a tree; *mode* is Go's ``os.FileMode``."""

    path: Annotated[str, 1] = ""
    mode: Annotated[int, 2] = 0
    uid: Annotated[int, 3] = 0
    gid: Annotated[int, 4] = 0
    size: Annotated[int, 5] = 0
    mtime_ns: Annotated[int, 6] = 0
    link: Annotated[str, 7] = ""
    major: Annotated[int, 8] = 0
    minor: Annotated[int, 9] = 0
    xattrs: Annotated[dict[str, bytes], 10] = field(default_factory=dict)


class Packet(Struct, frozen=True, kw_only=True):
    """One packet of fsutil, which copies trees."""

    kind: Annotated[int, 1] = 0
    stat: Annotated[Stat | None, 2] = None
    number: Annotated[int, 3] = 0
    data: Annotated[bytes, 4] = b""


class CredentialsRequest(Struct, frozen=True, kw_only=True):
    """Of ``Auth.Credentials``."""

    host: Annotated[str, 1] = ""


class CredentialsResponse(Struct, frozen=True, kw_only=True):
    """Of ``Auth.Credentials``; an identity token comes as a secret without a user."""

    username: Annotated[str, 1] = ""
    secret: Annotated[str, 2] = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"CredentialsResponse({self.username!r})"


class GetSecretRequest(Struct, frozen=True, kw_only=True):
    """Of ``Secrets.GetSecret``."""

    id: Annotated[str, 1] = ""


class GetSecretResponse(Struct, frozen=True, kw_only=True):
    """Of ``Secrets.GetSecret``."""

    data: Annotated[bytes, 1] = b""

    def __repr__(self) -> str:
        """Show no secret."""
        return "GetSecretResponse(…)"


class CheckAgentRequest(Struct, frozen=True, kw_only=True):
    """Of ``SSH.CheckAgent``."""

    id: Annotated[str, 1] = ""


class CheckAgentResponse(Struct, frozen=True, kw_only=True):
    """Of ``SSH.CheckAgent``."""


class HealthRequest(Struct, frozen=True, kw_only=True):
    """Of ``Health.Check``."""

    service: Annotated[str, 1] = ""


class HealthResponse(Struct, frozen=True, kw_only=True):
    """Of ``Health.Check``."""

    status: Annotated[int, 1] = 0
