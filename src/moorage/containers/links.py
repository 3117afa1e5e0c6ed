"""``--link``: another container's name inside, and its ports and environment as variables."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from moorage.containers.container import Container
from moorage.containers.store import ContainerStore
from moorage.containers.validate_config import parse_port
from moorage.containers.validate_namespaces import is_user_defined
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.networks.values import Link
from moorage.spec.engine.hostconfig import HostConfig


def parse(text: str) -> tuple[str, str]:
    """Return container reference and alias of ``container[:alias]``.

    Raises: InvalidParameter.
    """
    reference, _, alias = text.partition(":")
    if not reference or ":" in alias:
        raise InvalidParameter(f"bad format for links: {text}")
    bare = reference.removeprefix("/")
    return bare, alias.rpartition("/")[2] or bare


def check(store: ContainerStore, host: HostConfig) -> None:
    """Refuse links to nothing. Raises: InvalidParameter, with Docker's sentence."""
    for reference, _ in map(parse, host.links or []):
        try:
            store.get(reference)
        except NotFound as error:
            if is_user_defined(host.network_mode):
                continue  # a name that is looked up when it is asked for: it may come later
            message = f"could not get container for {reference}: {error}"
            raise InvalidParameter(message) from error


def by_id(store: ContainerStore, host: HostConfig) -> list[str] | None:
    """Return the links with ids for the containers, whose names may change.

    Names are looked up when they are asked for on networks of the user's, so there they stay.
    *Preconditions*: ``check``.
    """
    if not host.links or is_user_defined(host.network_mode):
        return host.links
    return [f"{store.get(reference).id}:{alias}" for reference, alias in map(parse, host.links)]


def resolve(store: ContainerStore, host: HostConfig) -> list[tuple[Container, str]]:
    """Return the linked containers with their aliases.

    Raises: NotFound; on networks of the user's what is not there is left out.
    """
    if is_user_defined(host.network_mode):
        return found(store, host)
    return [(store.get(reference), alias) for reference, alias in map(parse, host.links or [])]


def found(store: ContainerStore, host: HostConfig) -> list[tuple[Container, str]]:
    """Return those of the linked containers that are there, with their aliases."""
    there: list[tuple[Container, str]] = []
    for reference, alias in map(parse, host.links or []):
        with suppress(NotFound):
            there.append((store.get(reference), alias))
    return there


def for_networks(linked: Iterable[tuple[Container, str]]) -> list[Link]:
    """Return the links as the networks take them."""
    return [
        Link(
            container_id=container.id,
            name=container.name,
            alias=alias,
            hostname=container.record.config.hostname,
        )
        for container, alias in linked
    ]


def environment(
    own_name: str, linked: Iterable[tuple[Container, str]], addresses: dict[str, str]
) -> list[str]:
    """Return the variables of the old links (pure); *addresses* by container id."""
    variables: list[str] = []
    for container, alias in linked:
        address = addresses.get(container.id)
        if not address:
            continue
        prefix = alias.upper().replace("-", "_")
        ports = sorted(map(parse_port, container.record.config.exposed_ports or {}))
        if ports:
            number, protocol = ports[0]
            variables.append(f"{prefix}_PORT={protocol}://{address}:{number}")
        for number, protocol in ports:
            key = f"{prefix}_PORT_{number}_{protocol.upper()}"
            variables += [
                f"{key}={protocol}://{address}:{number}",
                f"{key}_ADDR={address}",
                f"{key}_PORT={number}",
                f"{key}_PROTO={protocol}",
            ]
        variables.append(f"{prefix}_NAME=/{own_name}/{alias}")
        for entry in container.record.config.env or []:
            key, equals, value = entry.partition("=")
            if equals and key not in {"HOME", "PATH"}:
                variables.append(f"{prefix}_ENV_{key}={value}")
    return variables
