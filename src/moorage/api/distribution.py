"""Routes of the ``Distribution`` tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.api.request import Request
from moorage.api.routing import route
from moorage.images import distribution
from moorage.registry.credentials import HEADER, decode_header
from moorage.spec.engine.image import DistributionInspect

if TYPE_CHECKING:
    from moorage.registry.registries import Registries


@route("GET", "/distribution/{name:path}/json", "DistributionInspect")
async def distribution_inspect(
    registries: Registries, name: str, request: Request
) -> DistributionInspect:
    """200; 401 not allowed; 404 no such image."""
    credentials = decode_header(request.headers.get(HEADER))
    return await distribution.inspect(registries, name, credentials)
