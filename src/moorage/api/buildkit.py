"""Routes of BuildKit's protocol: two connections that a client of it has turned into HTTP/2.

On ``/grpc`` the daemon serves; on ``/session`` the client does, for the builds that it begins on
the other. What is spoken there is ``buildkit``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.api.results import Hijacked
from moorage.api.routing import route
from moorage.lib.errors import InvalidParameter

if TYPE_CHECKING:
    from moorage.api.request import Request
    from moorage.buildkit.service import BuildKit

_PROTOCOL: Final = "h2c"


def _require_protocol(request: Request) -> None:
    """Refuse what is no upgrade to HTTP/2, in BuildKit's words. Raises: InvalidParameter."""
    asked = request.headers.get("upgrade", "")
    if not asked:
        raise InvalidParameter("no upgrade proto in request", hint=f"send Upgrade: {_PROTOCOL}")
    if asked != _PROTOCOL:
        raise InvalidParameter(f"protocol {asked} not supported", hint=f"use {_PROTOCOL}")


@route("POST", "/session", "Session")
async def session(buildkit: BuildKit, request: Request) -> Hijacked:
    """101: the client serves files, secrets and agents to its builds; 400 no upgrade, or no id."""
    _require_protocol(request)
    told = buildkit.links.announced(request.headers)
    await buildkit.links.serve(await request.hijack(protocol=_PROTOCOL), told)
    return Hijacked()


@route("POST", "/grpc", "BuildkitControl")
async def buildkit_control(buildkit: BuildKit, request: Request) -> Hijacked:
    """101: the services of BuildKit; 400 no upgrade."""
    _require_protocol(request)
    await buildkit.serve(await request.hijack(protocol=_PROTOCOL))
    return Hijacked()
