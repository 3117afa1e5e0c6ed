"""Errors as clients of BuildKit expect them: a sentence, and the place in the Dockerfile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from moorage.build.failures import BuildFailed
from moorage.build.frontends.dockerfile.source import DockerfileError
from moorage.buildkit.wire.control import Position, Range, Source, SourceInfo
from moorage.grpc.status import CallFailed, Code, Detail, of_error
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, NotFound, System

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.source import Source as Dockerfile
    from moorage.build.service import Plan

_SOURCE: Final = "github.com/moby/buildkit/errdefs.Source+json"
_PLAIN: Final = (InvalidParameter, NotFound, Conflict, System)  # their code adds nothing to them


def explained(error: MoorageError, plan: Plan | None = None) -> CallFailed:
    """Return *error* with the place that it is about, as clients of BuildKit draw it."""
    details: tuple[Detail, ...] = ()
    text = str(error)
    if isinstance(error, DockerfileError):
        text = text.partition("\n")[0]  # the client draws the lines itself
        details = (_place(error.source, error.span.start, error.span.end),)
    elif isinstance(error, BuildFailed):
        span = error.vertex.span if error.vertex is not None else None
        if span is not None and plan is not None:
            details = (_place(plan.dockerfile.source, *span),)
    elif not isinstance(error, _PLAIN):
        return of_error(error)
    return CallFailed(Code.UNKNOWN, text, details=details)


def _place(source: Dockerfile, start: int, end: int) -> Detail:
    place = Source(
        info=SourceInfo(
            filename=source.name,
            data="\n".join(source.lines).encode("utf-8", "surrogateescape"),
            language="Dockerfile",
        ),
        ranges=[Range(start=Position(line=start), end=Position(line=end))],
    )
    return Detail(type_url=_SOURCE, value=msgspec.json.encode(place))
