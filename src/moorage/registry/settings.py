"""How registries are reached, from ``daemon.json``, flags and the files administrators know."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.lib.errors import InvalidParameter
from moorage.registry.proxies import Proxies
from moorage.spec import reference as references

CERTS_DIRECTORIES: Final = (Path("/etc/moorage/certs.d"), Path("/etc/docker/certs.d"))
REGISTRIES_CONF: Final = Path("/etc/containers/registries.conf")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LOOPBACK: Final[tuple[Network, ...]] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """The settings; checked by ``parse``."""

    mirrors: dict[str, tuple[str, ...]] = {}  # by the registry they stand in for
    insecure_hosts: frozenset[str] = frozenset()
    insecure_networks: tuple[Network, ...] = _LOOPBACK
    certs_directories: tuple[Path, ...] = CERTS_DIRECTORIES
    registries_conf: Path | None = None
    proxies: Proxies = Proxies()
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5


def parse_mirrors(values: list[str]) -> dict[str, tuple[str, ...]]:
    """Read ``registry-mirrors``.

    An address alone stands in for Docker Hub, as dockerd has it;
    ``ghcr.io=https://mirror.lan/ghcr`` for the registry it names.
    Raises: InvalidParameter.
    """
    found: dict[str, tuple[str, ...]] = {}
    for value in values:
        name, equals, address = value.partition("=")
        domain = name if equals and "://" not in name else references.DEFAULT_DOMAIN
        url = address if equals and "://" not in name else value
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in {"http", "https"} or not rest or "@" in rest:
            raise InvalidParameter(
                f'invalid mirror: "{url}" is not a valid registry mirror',
                hint="an http or https address without user and password",
            )
        if "?" in rest or "#" in rest:
            raise InvalidParameter(f'invalid mirror: query or fragment in "{url}"')
        found[domain] = (*found.get(domain, ()), url.rstrip("/"))
    return found


def parse_insecure(values: list[str]) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Read ``insecure-registries``: hosts with an optional port, and networks.

    The addresses of this machine itself are always among the networks.
    Raises: InvalidParameter.
    """
    hosts: set[str] = set()
    networks: list[Network] = list(_LOOPBACK)
    for value in values:
        if "://" in value:
            raise InvalidParameter(
                f"insecure registry {value} should not contain '://'",
                hint="write the host and port alone",
            )
        if "/" not in value and not value.startswith("-") and not value.endswith("-"):
            hosts.add(value.lower())
            continue
        try:
            networks.append(ipaddress.ip_network(value, strict=False))
        except ValueError:
            raise InvalidParameter(f"insecure registry {value} is not valid") from None
    return frozenset(hosts), tuple(networks)
