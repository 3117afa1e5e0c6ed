"""The service ``moby.buildkit.v1.Control``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from moorage.build import prune
from moorage.buildkit import filters, running
from moorage.buildkit.prepared import Preparations
from moorage.buildkit.solves import Driven, Solve, Solves
from moorage.buildkit.wire.control import (
    DiskUsageRequest,
    DiskUsageResponse,
    InfoRequest,
    InfoResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    PruneRequest,
    SolveRequest,
    SolveResponse,
    StatusRequest,
    StatusResponse,
    Timestamp,
    UsageRecord,
    WorkerRecord,
)
from moorage.grpc.server import Metadata, Method
from moorage.lib.errors import NotImplemented_
from moorage.spec.engine.filters import Filters

if TYPE_CHECKING:
    from moorage.build.cache import Record
    from moorage.build.service import Builder
    from moorage.buildkit.prepared import Prepared
    from moorage.buildkit.session.links import Links
    from moorage.grpc.server import Metadata

_SERVICE: Final = "/moby.buildkit.v1.Control/"


class Control:
    """Answers the calls of the service."""

    def __init__(
        self, builder: Builder, links: Links, solves: Solves, worker: WorkerRecord
    ) -> None:
        self._builder = builder
        self._links = links
        self._solves = solves
        self._worker = worker

    def methods(self) -> dict[str, Method]:
        """Return what is served, by path."""
        return {
            f"{_SERVICE}Info": Method(InfoRequest, self.info),
            f"{_SERVICE}ListWorkers": Method(ListWorkersRequest, self.list_workers),
            f"{_SERVICE}DiskUsage": Method(DiskUsageRequest, self.disk_usage),
            f"{_SERVICE}Prune": Method(PruneRequest, self.prune),
            f"{_SERVICE}Solve": Method(SolveRequest, self.solve),
            f"{_SERVICE}Status": Method(StatusRequest, self.status),
        }

    async def info(self, _request: InfoRequest, _metadata: Metadata) -> InfoResponse:
        """Say what this is."""
        return InfoResponse(version=self._worker.version)

    async def list_workers(
        self, _request: ListWorkersRequest, _metadata: Metadata
    ) -> ListWorkersResponse:
        """Tell of the one worker."""
        return ListWorkersResponse(record=[self._worker])

    # --- the cache -----------------------------------------------------------------------------

    async def disk_usage(self, request: DiskUsageRequest, _metadata: Metadata) -> DiskUsageResponse:
        """Tell of the records of the cache. Raises: InvalidParameter (a filter)."""
        records = self._builder.upkeep.select(filters.read(request.filter))
        return DiskUsageResponse(record=[self._usage(record) for record in records])

    async def prune(self, request: PruneRequest, _metadata: Metadata) -> AsyncIterator[UsageRecord]:
        """Remove records; tell of each that went. Raises: InvalidParameter (a filter)."""
        upkeep = self._builder.upkeep
        limits = prune.Limits(
            reserved_bytes=request.reserved_space or None,
            max_bytes=request.max_used_space or None,
            to_free_bytes=upkeep.free_space_wanted(request.min_free_space),
        )
        terms = list(request.filter)
        if request.keep_duration:
            terms.append(f"until={request.keep_duration}ns")
        before = {record.id: self._usage(record) for record in upkeep.select(Filters())}
        pruned = await upkeep.prune(filters.read(terms), limits, everything=request.all)
        for identity in pruned.caches_deleted or ():
            yield before[identity]

    def _usage(self, record: Record) -> UsageRecord:
        upkeep = self._builder.upkeep
        return UsageRecord(
            id=record.id,
            mutable=record.kind == "exec.cachemount",
            in_use=upkeep.is_in_use(record),
            size=record.size,
            created_at=Timestamp.of_ns(record.created_ns),
            last_used_at=Timestamp.of_ns(record.last_used_ns),
            usage_count=record.usage_count,
            description=record.description,
            record_type=record.kind,
            shared=upkeep.is_shared(record),
            parents=list(record.parents),
        )

    # --- builds --------------------------------------------------------------------------------

    async def status(
        self, request: StatusRequest, _metadata: Metadata
    ) -> AsyncIterator[StatusResponse]:
        """Tell of a solve's progress until it ends. Raises: NotFound."""
        solve = await self._solves.wait(request.ref)
        async for told in solve.log.follow():
            yield told

    async def solve(self, request: SolveRequest, _metadata: Metadata) -> SolveResponse:
        """Build, or wait for the client to say what to build.

        Raises: CallFailed and whatever a build raises. Cancel: the build is undone.
        """
        if request.definition is not None and request.definition.steps:
            raise NotImplemented_(
                "a graph of the client's own (LLB) is not built: this builder reads Dockerfiles"
            )
        if request.frontend_inputs:
            raise NotImplemented_("inputs of a frontend that are graphs (LLB) are not built")
        if request.source_policy:
            raise NotImplemented_("source policies are not built")
        driven = None if request.frontend else Driven()
        solve = await self._solves.begin(request.ref, driven)
        try:
            return SolveResponse(exporter_response=await self._solve(request, solve))
        except BaseException as error:
            solve.narrator.close(str(error) or "cancelled")
            raise
        finally:
            self._solves.end(solve)

    async def _solve(self, request: SolveRequest, solve: Solve) -> dict[str, str]:
        link = await self._links.wait(request.session) if request.session else None
        async with AsyncExitStack() as undo:
            preparations = Preparations(self._builder, request, link, solve.narrator, undo)
            try:
                prepared = await self._choose(request, solve, preparations)
                if prepared is None:
                    return {}
                return await running.run(self._builder, prepared, solve)
            finally:
                await preparations.close()

    @staticmethod
    async def _choose(
        request: SolveRequest, solve: Solve, preparations: Preparations
    ) -> Prepared | None:
        """Return what shall be built; None: nothing."""
        if solve.driven is None:
            return await preparations.prepare(request.frontend, request.frontend_attrs, ())
        solve.driven.preparations.set_result(preparations)
        return await solve.driven.chosen
