"""The service ``moby.buildkit.v1.frontend.LLBBridge``: a client drives its solve itself.

buildx begins a solve without a frontend, asks here what the daemon can do, has the Dockerfile
frontend called, and returns its result: only then is built and exported what the solve names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.buildkit.wire.gateway import (
    Cap,
    PingRequest,
    PongResponse,
    Ref,
    Result,
    ReturnRequest,
    ReturnResponse,
    SolveRequest,
    SolveResponse,
)
from moorage.grpc.server import Metadata, Method
from moorage.grpc.status import CallFailed, Code
from moorage.lib import ids
from moorage.lib.errors import InvalidParameter, NotImplemented_

if TYPE_CHECKING:
    from moorage.buildkit.solves import Driven, Solve, Solves
    from moorage.buildkit.wire.control import WorkerRecord

_SERVICE: Final = "/moby.buildkit.v1.frontend.LLBBridge/"
_BUILD: Final = "buildkit-controlapi-buildid"
_FRONTEND_CAPS: Final = (
    *("solve.base", "return", "returnmap", "proto.refarray", "importcaches"),
    *("gateway.solve.metadata", "frontend.caps"),
)
_LLB_CAPS: Final = ("exporter.image.attestations", "exporter.multiple")


class Gateway:
    """Answers the calls of the service."""

    def __init__(self, solves: Solves, worker: WorkerRecord) -> None:
        self._solves = solves
        self._worker = worker

    def methods(self) -> dict[str, Method]:
        """Return what is served, by path."""
        return {
            f"{_SERVICE}Ping": Method(PingRequest, self.ping),
            f"{_SERVICE}Solve": Method(SolveRequest, self.solve),
            f"{_SERVICE}Return": Method(ReturnRequest, self.give_back),
        }

    async def _driven(self, metadata: Metadata) -> tuple[Solve, Driven]:
        build = metadata.get(_BUILD, "")
        if not build:
            raise InvalidParameter(f"the call names no build: metadata {_BUILD} is missing")
        return await self._solves.wait_driven(build)

    async def ping(self, _request: PingRequest, metadata: Metadata) -> PongResponse:
        """Say what can be asked for."""
        await self._driven(metadata)
        return PongResponse(
            frontend_caps=[Cap(id=name, enabled=True) for name in _FRONTEND_CAPS],
            llb_caps=[Cap(id=name, enabled=True) for name in _LLB_CAPS],
            workers=[self._worker],
        )

    async def solve(self, request: SolveRequest, metadata: Metadata) -> SolveResponse:
        """Call a frontend: read the Dockerfile; what it asks for is built once it is returned.

        Raises: CallFailed, with the place in the Dockerfile.
        """
        solve, driven = await self._driven(metadata)
        if request.definition is not None and request.definition.steps:
            raise NotImplemented_(
                "a graph of the client's own (LLB) is not built: this builder reads Dockerfiles"
            )
        if request.frontend_inputs:
            raise NotImplemented_("inputs of a frontend that are graphs (LLB) are not built")
        if request.evaluate:
            raise NotImplemented_("a result can be built when it is returned, and not before")
        preparations = await driven.preparations
        prepared = await preparations.prepare(
            request.frontend, request.frontend_opt, request.cache_imports
        )
        ref = ids.token()
        driven.prepared[ref] = prepared
        solve.narrator.close()
        return SolveResponse(result=Result(ref=Ref(id=ref)))

    async def give_back(self, request: ReturnRequest, metadata: Metadata) -> ReturnResponse:
        """Take what the client has decided on; the solve goes on with it."""
        _, driven = await self._driven(metadata)
        if driven.chosen.done():
            raise InvalidParameter("the build has been returned already")
        if request.error is not None and request.error.code:
            failed = CallFailed(
                Code(request.error.code),
                request.error.message,
                details=tuple(request.error.details),
            )
            driven.chosen.set_exception(failed)
            return ReturnResponse()
        ref = request.result.ref if request.result is not None else None
        name = ref.id if ref is not None else ""  # without one the client wants nothing built
        if name and name not in driven.prepared:
            raise InvalidParameter(f"no such result: {name}")
        driven.chosen.set_result(driven.prepared.get(name))
        return ReturnResponse()
