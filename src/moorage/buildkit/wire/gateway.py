"""``moby.buildkit.v1.frontend``: the messages of the service LLBBridge."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct, field

from moorage.buildkit.wire.control import CacheOption, Definition, WorkerRecord
from moorage.grpc.status import Status


class Cap(Struct, frozen=True, kw_only=True):
    """``APICap``: something this daemon can do."""

    id: Annotated[str, 1] = ""
    enabled: Annotated[bool, 2] = False


class PingRequest(Struct, frozen=True, kw_only=True):
    """Of ``Ping``."""


class PongResponse(Struct, frozen=True, kw_only=True):
    """Of ``Ping``."""

    frontend_caps: Annotated[list[Cap], 1] = field(default_factory=list)
    llb_caps: Annotated[list[Cap], 2] = field(default_factory=list)
    workers: Annotated[list[WorkerRecord], 3] = field(default_factory=list)


class Ref(Struct, frozen=True, kw_only=True):
    """What a solve gave, by its name."""

    id: Annotated[str, 1] = ""


class Result(Struct, frozen=True, kw_only=True):
    """What a frontend gave."""

    ref: Annotated[Ref | None, 3] = None
    metadata: Annotated[dict[str, bytes], 10] = field(default_factory=dict)


class SolveRequest(Struct, frozen=True, kw_only=True):
    """Of ``Solve``."""

    definition: Annotated[Definition | None, 1] = None
    frontend: Annotated[str, 2] = ""
    frontend_opt: Annotated[dict[str, str], 3] = field(default_factory=dict)
    cache_imports: Annotated[list[CacheOption], 12] = field(default_factory=list)
    frontend_inputs: Annotated[dict[str, Definition], 13] = field(default_factory=dict)
    evaluate: Annotated[bool, 14] = False


class SolveResponse(Struct, frozen=True, kw_only=True):
    """Of ``Solve``."""

    ref: Annotated[str, 1] = ""
    result: Annotated[Result | None, 3] = None


class ReturnRequest(Struct, frozen=True, kw_only=True):
    """Of ``Return``: what the client has made of it."""

    result: Annotated[Result | None, 1] = None
    error: Annotated[Status | None, 2] = None


class ReturnResponse(Struct, frozen=True, kw_only=True):
    """Of ``Return``."""
