"""What changes of a container that runs: its networks, and its published ports."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

from msgspec import structs

from moorage.lib import offload
from moorage.lib.errors import MoorageError, System
from moorage.lib.failpoint import failpoint
from moorage.networks import (
    attach,
    endpoints,
    namefiles,
    nameport,
    naming,
    publishing,
    sandbox,
)
from moorage.networks.domain import Domain
from moorage.networks.firewall.rules import Published
from moorage.networks.ports import PortTaken
from moorage.networks.records import Endpoint, NetworkRecord, SandboxRecord
from moorage.networks.sandbox import Wire
from moorage.networks.values import SandboxRequest
from moorage.spec.engine.network import EndpointSettings


async def connect(
    domain: Domain, request: SandboxRequest, network: NetworkRecord, settings: EndpointSettings
) -> EndpointSettings:
    """Add an endpoint to a running container: all or nothing."""
    made = domain.registry.sandboxes[request.container_id]
    async with AsyncExitStack() as undo:
        endpoint = await attach.make_endpoint(domain, made, network, settings, undo)
        new = structs.replace(made, request=request, endpoints=[*made.endpoints, endpoint])
        try:
            new = structs.replace(new, published=_republish(domain, made, new, undo))
        except PortTaken as error:
            raise await publishing.refusal(domain, request, new.endpoints, error) from error
        domain.registry.enter_sandbox(new)
        undo.callback(domain.registry.enter_sandbox, made)
        failpoint("networks.connect.after_record")
        owners = endpoints.owners([endpoint])
        domain.keeper.add_owners(owners)
        undo.callback(domain.keeper.remove_owners, owners)
        if await _plug(domain, new, endpoint):
            undo.push_async_callback(_unplug, domain, made, endpoint)
        failpoint("networks.connect.after_namespace")
        domain.keeper.add_links(endpoint.links)
        undo.callback(domain.keeper.remove_links, endpoint.links)
        await domain.keeper.settle()
        await publishing.forget_conversations(new.published)
        await _serve_names(domain, made, new, undo)
        naming.tell_joined(domain, new)
        await attach.tell_driver(domain, new, endpoint)
        undo.pop_all()
    attach.announce(domain, "connect", new, endpoint)
    _refresh(domain, new)
    return endpoints.shown(network, endpoint, names=attach.names_shown(domain, network))


async def _plug(domain: Domain, new: SandboxRecord, endpoint: Endpoint) -> bool:
    """Plug in an interface while its rules are put in force; return whether there is one."""
    wire = attach.wire(domain, new, endpoint)
    if wire is None:
        await domain.keeper.settle()
        return False
    handle = domain.handle(new.id)
    gateway = endpoints.gateway(domain.registry, new.endpoints)
    try:
        await offload.run_beside(
            domain.keeper.settle(), lambda ready: sandbox.add(handle, wire, gateway, ready)
        )
    except OSError as error:
        raise System(f"failed to add interface {wire.interface} to sandbox: {error}") from error
    return True


async def disconnect(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> None:
    """Take an endpoint away from a running container."""
    rest = [e for e in made.endpoints if e.id != endpoint.id]
    request = structs.replace(
        made.request,
        endpoints={
            ref: settings
            for ref, settings in made.request.endpoints.items()
            if not _means(domain, ref, endpoint.network_id)
        },
    )
    new = structs.replace(made, request=request, endpoints=rest)
    try:
        await _unplug(domain, new, endpoint)
    except OSError as error:
        raise System(f"failed to remove interface {endpoint.interface}: {error}") from error
    failpoint("networks.disconnect.after_namespace")
    async with AsyncExitStack() as undo:
        new = structs.replace(new, published=_republish(domain, made, new, undo))
        domain.registry.enter_sandbox(new)  # after the kernel: who is killed before can do it again
        undo.pop_all()
    domain.keeper.remove_links(endpoint.links)
    domain.keeper.remove_owners(endpoints.owners([endpoint]))
    await domain.keeper.settle()
    naming.tell_endpoint_gone(domain, made, endpoint)
    naming.tell_joined(domain, new)
    await attach.delete_endpoint(domain, made, endpoint)
    failpoint("networks.disconnect.after_record")
    attach.announce(domain, "disconnect", made, endpoint)
    _refresh(domain, new)


async def publish(domain: Domain, made: SandboxRecord, request: SandboxRequest) -> None:
    """Publish the ports of *request* instead of those before: all or nothing.

    The rules of a port that stays are not touched, nor is what is connected through it.
    """
    try:
        published = publishing.change(domain, request, made.endpoints, made.published)
    except PortTaken as error:
        raise await publishing.refusal(domain, request, made.endpoints, error) from error
    new = structs.replace(made, request=request, published=published)
    async with AsyncExitStack() as undo:
        owner = request.name
        undo.callback(publishing.hold, domain, made.published, instead_of=published, owner=owner)
        domain.registry.enter_sandbox(new)
        undo.callback(domain.registry.enter_sandbox, made)
        failpoint("networks.publish.after_record")
        if published and not made.published:
            await offload.run("net", sandbox.set_ports, _wires(domain, new))
        _swap(domain, made.id, made.published, published)
        undo.callback(_swap, domain, made.id, published, made.published)
        await domain.keeper.settle()
        undo.pop_all()
    failpoint("networks.publish.after_rules")
    await publishing.forget_conversations({*made.published} ^ {*published})


def _wires(domain: Domain, made: SandboxRecord) -> list[Wire]:
    return [w for e in made.endpoints if (w := attach.wire(domain, made, e)) is not None]


async def _serve_names(
    domain: Domain, old: SandboxRecord, new: SandboxRecord, undo: AsyncExitStack
) -> None:
    """Bring the name server into a sandbox that had no network with names until now."""
    if namefiles.serves_names(domain, new) and not namefiles.serves_names(domain, old):
        sockets = await offload.run_disposable(nameport.listen_in, domain.handle(new.id))
        domain.names.tell({"op": "add", "sandbox": new.id}, sockets)
        undo.callback(domain.names.tell, {"op": "remove", "sandbox": new.id})


def _means(domain: Domain, ref: str, network_id: str) -> bool:
    with suppress(MoorageError):
        return domain.registry.find(ref).id == network_id
    return False


async def _unplug(domain: Domain, made: SandboxRecord, endpoint: Endpoint) -> None:
    gateway = endpoints.gateway(domain.registry, made.endpoints)
    network = domain.registry.networks[endpoint.network_id]
    wire = domain.driver(network).wire(network, endpoint, hairpin=False)
    give_back = wire.plug.device if wire and wire.plug.kind == "moved" else ""
    await offload.run_disposable(
        sandbox.remove,
        domain.handle(made.id),
        endpoint.interface,
        gateway,
        give_back=give_back,
    )


def _republish(
    domain: Domain, old: SandboxRecord, new: SandboxRecord, undo: AsyncExitStack
) -> list[Published]:
    """Let the published ports follow the endpoint that the default route leads through."""
    if old.published:
        published = publishing.retarget(domain, old.published, new.endpoints)
    else:
        published = publishing.take(domain, new.request, new.endpoints)
        undo.callback(publishing.release, domain, published)
    if published != old.published:
        _swap(domain, new.id, old.published, published)
        undo.callback(_swap, domain, new.id, published, old.published)
    return published


def _swap(domain: Domain, sandbox_id: str, old: list[Published], new: list[Published]) -> None:
    publishing.close_ports(domain, [port for port in old if port not in new])
    publishing.open_ports(domain, sandbox_id, new)


def _refresh(domain: Domain, made: SandboxRecord) -> None:
    domain.on_name_files(made.container_id, namefiles.compose(domain, made))
