"""``moby.buildkit.v1``: the messages of the service Control, and what they are made of."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct, field

from moorage.spec.platforms import Platform as SpecPlatform


class Timestamp(Struct, frozen=True, kw_only=True):
    """``google.protobuf.Timestamp``."""

    seconds: Annotated[int, 1] = 0
    nanos: Annotated[int, 2] = 0

    @classmethod
    def of_ns(cls, time_ns: int) -> Timestamp:
        """Return a time since 1970."""
        seconds, nanos = divmod(time_ns, 1_000_000_000)
        return cls(seconds=seconds, nanos=nanos)


class Platform(Struct, frozen=True, kw_only=True):
    """``pb.Platform``."""

    architecture: Annotated[str, 1] = ""
    os: Annotated[str, 2] = ""
    variant: Annotated[str, 3] = ""

    @classmethod
    def of(cls, platform: SpecPlatform) -> Platform:
        """Return *platform* as it travels."""
        return cls(
            architecture=platform.architecture, os=platform.os, variant=platform.variant or ""
        )


class Position(Struct, frozen=True, kw_only=True):
    """``pb.Position``."""

    line: Annotated[int, 1] = 0
    character: Annotated[int, 2] = 0


class Range(Struct, frozen=True, kw_only=True):
    """``pb.Range``."""

    start: Annotated[Position | None, 1] = None
    end: Annotated[Position | None, 2] = None


class SourceInfo(Struct, frozen=True, kw_only=True):
    """``pb.SourceInfo``: a text that steps were made from."""

    filename: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""
    language: Annotated[str, 4] = ""


class Source(Struct, frozen=True, kw_only=True):
    """``errdefs.Source``: where in a text an error lies."""

    info: Annotated[SourceInfo | None, 1] = None
    ranges: Annotated[list[Range], 2] = field(default_factory=list)


class Definition(Struct, frozen=True, kw_only=True):
    """``pb.Definition``: a graph of a client's own making."""

    steps: Annotated[list[bytes], 1] = field(default_factory=list)


class Version(Struct, frozen=True, kw_only=True):
    """``BuildkitVersion``."""

    package: Annotated[str, 1] = ""
    version: Annotated[str, 2] = ""
    revision: Annotated[str, 3] = ""


class GcPolicy(Struct, frozen=True, kw_only=True):
    """``GCPolicy``."""

    all: Annotated[bool, 1] = False
    keep_duration: Annotated[int, 2] = 0  # seconds
    keep_bytes: Annotated[int, 3] = 0
    filters: Annotated[list[str], 4] = field(default_factory=list)


class WorkerRecord(Struct, frozen=True, kw_only=True):
    """A worker of the daemon; ours has one."""

    id: Annotated[str, 1] = ""
    labels: Annotated[dict[str, str], 2] = field(default_factory=dict)
    platforms: Annotated[list[Platform], 3] = field(default_factory=list)
    gc_policy: Annotated[list[GcPolicy], 4] = field(default_factory=list)
    version: Annotated[Version | None, 5] = None


class InfoRequest(Struct, frozen=True, kw_only=True):
    """Of ``Info``."""


class InfoResponse(Struct, frozen=True, kw_only=True):
    """Of ``Info``."""

    version: Annotated[Version | None, 1] = None


class ListWorkersRequest(Struct, frozen=True, kw_only=True):
    """Of ``ListWorkers``."""

    filter: Annotated[list[str], 1] = field(default_factory=list)


class ListWorkersResponse(Struct, frozen=True, kw_only=True):
    """Of ``ListWorkers``."""

    record: Annotated[list[WorkerRecord], 1] = field(default_factory=list)


class DiskUsageRequest(Struct, frozen=True, kw_only=True):
    """Of ``DiskUsage``."""

    filter: Annotated[list[str], 1] = field(default_factory=list)


class UsageRecord(Struct, frozen=True, kw_only=True):
    """One record of the cache."""

    id: Annotated[str, 1] = ""
    mutable: Annotated[bool, 2] = False
    in_use: Annotated[bool, 3] = False
    size: Annotated[int, 4] = 0
    created_at: Annotated[Timestamp | None, 6] = None
    last_used_at: Annotated[Timestamp | None, 7] = None
    usage_count: Annotated[int, 8] = 0
    description: Annotated[str, 9] = ""
    record_type: Annotated[str, 10] = ""
    shared: Annotated[bool, 11] = False
    parents: Annotated[list[str], 12] = field(default_factory=list)


class DiskUsageResponse(Struct, frozen=True, kw_only=True):
    """Of ``DiskUsage``."""

    record: Annotated[list[UsageRecord], 1] = field(default_factory=list)


class PruneRequest(Struct, frozen=True, kw_only=True):
    """Of ``Prune``; the last three are newer names and limits."""

    filter: Annotated[list[str], 1] = field(default_factory=list)
    all: Annotated[bool, 2] = False
    keep_duration: Annotated[int, 3] = 0  # nanoseconds since it was used last
    reserved_space: Annotated[int, 4] = 0  # bytes; first called keepBytes
    max_used_space: Annotated[int, 5] = 0
    min_free_space: Annotated[int, 6] = 0


class CacheOption(Struct, frozen=True, kw_only=True):
    """``CacheOptionsEntry``."""

    type: Annotated[str, 1] = ""
    attrs: Annotated[dict[str, str], 2] = field(default_factory=dict)


class CacheOptions(Struct, frozen=True, kw_only=True):
    """Caches in and out; the old ways to name them are still sent."""

    import_refs: Annotated[list[str], 2] = field(default_factory=list)
    exports: Annotated[list[CacheOption], 4] = field(default_factory=list)
    imports: Annotated[list[CacheOption], 5] = field(default_factory=list)


class Exporter(Struct, frozen=True, kw_only=True):
    """One output."""

    type: Annotated[str, 1] = ""
    attrs: Annotated[dict[str, str], 2] = field(default_factory=dict)


class SolveRequest(Struct, frozen=True, kw_only=True):
    """Of ``Solve``."""

    ref: Annotated[str, 1] = ""
    definition: Annotated[Definition | None, 2] = None
    exporter: Annotated[str, 3] = ""  # the first of *exporters*, for older daemons
    exporter_attrs: Annotated[dict[str, str], 4] = field(default_factory=dict)
    session: Annotated[str, 5] = ""
    frontend: Annotated[str, 6] = ""
    frontend_attrs: Annotated[dict[str, str], 7] = field(default_factory=dict)
    cache: Annotated[CacheOptions | None, 8] = None
    entitlements: Annotated[list[str], 9] = field(default_factory=list)
    frontend_inputs: Annotated[dict[str, Definition], 10] = field(default_factory=dict)
    internal: Annotated[bool, 11] = False
    source_policy: Annotated[bytes, 12] = b""
    exporters: Annotated[list[Exporter], 13] = field(default_factory=list)


class SolveResponse(Struct, frozen=True, kw_only=True):
    """Of ``Solve``."""

    exporter_response: Annotated[dict[str, str], 1] = field(default_factory=dict)


class StatusRequest(Struct, frozen=True, kw_only=True):
    """Of ``Status``."""

    ref: Annotated[str, 1] = ""


class Vertex(Struct, frozen=True, kw_only=True):
    """A step, as far as it has come."""

    digest: Annotated[str, 1] = ""
    inputs: Annotated[list[str], 2] = field(default_factory=list)
    name: Annotated[str, 3] = ""
    cached: Annotated[bool, 4] = False
    started: Annotated[Timestamp | None, 5] = None
    completed: Annotated[Timestamp | None, 6] = None
    error: Annotated[str, 7] = ""


class VertexStatus(Struct, frozen=True, kw_only=True):
    """How far something inside of a step has come."""

    id: Annotated[str, 1] = ""
    vertex: Annotated[str, 2] = ""
    name: Annotated[str, 3] = ""
    current: Annotated[int, 4] = 0
    total: Annotated[int, 5] = 0
    timestamp: Annotated[Timestamp | None, 6] = None
    started: Annotated[Timestamp | None, 7] = None
    completed: Annotated[Timestamp | None, 8] = None


class VertexLog(Struct, frozen=True, kw_only=True):
    """Output of a step."""

    vertex: Annotated[str, 1] = ""
    timestamp: Annotated[Timestamp | None, 2] = None
    stream: Annotated[int, 3] = 0
    msg: Annotated[bytes, 4] = b""


class VertexWarning(Struct, frozen=True, kw_only=True):
    """A finding."""

    vertex: Annotated[str, 1] = ""
    level: Annotated[int, 2] = 0
    short: Annotated[bytes, 3] = b""
    detail: Annotated[list[bytes], 4] = field(default_factory=list)
    url: Annotated[str, 5] = ""
    info: Annotated[SourceInfo | None, 6] = None
    ranges: Annotated[list[Range], 7] = field(default_factory=list)


class StatusResponse(Struct, frozen=True, kw_only=True):
    """Of ``Status``: what is new."""

    vertexes: Annotated[list[Vertex], 1] = field(default_factory=list)
    statuses: Annotated[list[VertexStatus], 2] = field(default_factory=list)
    logs: Annotated[list[VertexLog], 3] = field(default_factory=list)
    warnings: Annotated[list[VertexWarning], 4] = field(default_factory=list)
