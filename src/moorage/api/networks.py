"""Routes of the ``Network`` tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from moorage.api.results import Created, NoContent
from moorage.api.routing import route
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.network import (
    EndpointSettings,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkDisconnectRequest,
    NetworkInspect,
    NetworkPruneResponse,
    NetworkSummary,
)

if TYPE_CHECKING:
    from moorage.networks.service import Networks


class Members(Protocol):
    """What puts containers on networks (``containers.service.Containers``)."""

    async def connect(
        self, network: str, reference: str, settings: EndpointSettings | None
    ) -> None:
        """Connect a container, running or not, and remember it."""

    async def disconnect(self, network: str, reference: str, *, force: bool) -> None:
        """Take a container, running or not, off a network, and remember it."""


class FiltersQuery(Struct, frozen=True):
    """``filters`` alone."""

    filters: Filters = field(default_factory=Filters)


class InspectQuery(Struct, frozen=True):
    """Parameters of ``NetworkInspect``."""

    verbose: bool = False
    scope: str = ""


@route("GET", "/networks", "NetworkList")
def network_list(networks: Networks, query: FiltersQuery) -> list[NetworkSummary]:
    """200; 400 unknown filter."""
    return networks.list_all(query.filters)


@route("GET", "/networks/{id}", "NetworkInspect")
def network_inspect(networks: Networks, id: str, query: InspectQuery) -> NetworkInspect:
    """200; 404 network not found."""
    return networks.inspect(id, scope=query.scope, verbose=query.verbose)


@route("DELETE", "/networks/{id}", "NetworkDelete")
async def network_delete(networks: Networks, id: str) -> NoContent:
    """204; 403 predefined, or in use; 404 network not found."""
    await networks.remove(id)
    return NoContent()


@route("POST", "/networks/create", "NetworkCreate")
async def network_create(networks: Networks, body: NetworkCreateRequest) -> Created:
    """201; 400 bad subnet or option; 403 predefined name, overlap; 404 no driver; 409 name."""
    return Created(await networks.create(body))


@route("POST", "/networks/{id}/connect", "NetworkConnect")
async def network_connect(containers: Members, id: str, body: NetworkConnectRequest) -> None:
    """200; 400 bad address; 403 twice; 404 network or container not found."""
    await containers.connect(id, body.container, body.endpoint_config)


@route("POST", "/networks/{id}/disconnect", "NetworkDisconnect")
async def network_disconnect(containers: Members, id: str, body: NetworkDisconnectRequest) -> None:
    """200; 404 network or container not found; 500 not connected."""
    await containers.disconnect(id, body.container, force=body.force)


@route("POST", "/networks/prune", "NetworkPrune")
async def network_prune(networks: Networks, query: FiltersQuery) -> NetworkPruneResponse:
    """200; 400 unknown filter."""
    return await networks.prune(query.filters)
