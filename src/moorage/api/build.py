"""Routes of the builder: the classic ``POST /build`` and ours around it.

``/build/session`` and what hangs on it are this daemon's own: they take the files that changed,
secrets and agents before a build, and give back outputs that are no image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from moorage.api import build_query
from moorage.api.build_query import BuildQuery
from moorage.api.results import JsonStream, NoContent
from moorage.api.routing import route
from moorage.build.prune import Limits
from moorage.lib.errors import InvalidParameter
from moorage.registry.credentials import decode_config_header
from moorage.spec.engine.filters import Filters

if TYPE_CHECKING:
    from moorage.api.request import Request
    from moorage.build.streams import BuildStreams
    from moorage.build.upkeep import Pruned
    from moorage.spec.engine.build import BuildCacheDiskUsage


class PruneQuery(Struct, frozen=True, kw_only=True):
    """Parameters of ``BuildPrune``; *keep-storage* is the older name of *reserved-space*."""

    keep_storage: int = field(default=0, name="keep-storage")
    reserved_space: int = field(default=0, name="reserved-space")
    max_used_space: int = field(default=0, name="max-used-space")
    min_free_space: int = field(default=0, name="min-free-space")
    all: bool = False
    filters: Filters = field(default_factory=Filters)


class CancelQuery(Struct, frozen=True, kw_only=True):
    """Parameters of ``BuildCancel``."""

    id: str = ""


@route("POST", "/build", "ImageBuild")
async def image_build(build: BuildStreams, query: BuildQuery, request: Request) -> JsonStream:
    """200 and a stream; 400 wrong request or Dockerfile; 404 no such image."""
    options = build_query.options(query, build.builder.platform)
    given = decode_config_header(request.headers.get("x-registry-config"))
    return JsonStream(build.classic(options, given, request.body_stream(), query.buildid))


@route("POST", "/build/prune", "BuildPrune")
async def build_prune(build: BuildStreams, query: PruneQuery) -> Pruned:
    """200; 400 unknown filter."""
    free = build.builder.upkeep.free_space_wanted(query.min_free_space)
    limits = Limits(
        reserved_bytes=query.reserved_space or query.keep_storage or None,
        max_bytes=query.max_used_space or None,
        to_free_bytes=free,
    )
    return await build.builder.upkeep.prune(query.filters, limits, everything=query.all)


@route("POST", "/build/cancel", "BuildCancel")
async def build_cancel(build: BuildStreams, query: CancelQuery) -> NoContent:
    """204; 400 without an id; 404 no such build."""
    if not query.id:
        raise InvalidParameter("build ID not provided")
    build.builder.cancel(query.id)
    return NoContent()


@route("GET", "/build/usage", "BuildUsage")
async def build_usage(build: BuildStreams) -> BuildCacheDiskUsage:
    """200: the build cache's part of ``system df``, with its records."""
    return build.builder.upkeep.disk_usage()
