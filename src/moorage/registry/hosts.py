"""From the registry a reference names to the endpoints to try, mirrors first.

Read, in this order, and joined: ``registry-mirrors`` of the daemon; ``hosts.toml`` below
``certs.d/<host>`` (containerd's); ``registries.conf`` (podman's). Certificates come from
``certs.d/<host>/*.crt|*.cert|*.key`` as dockerd reads them. Files are read anew for each pull, so a
change needs no restart.
"""

from __future__ import annotations

import ipaddress
import socket
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs

from moorage.lib.errors import System
from moorage.lib.httpclient import TLS
from moorage.registry.endpoint import Endpoint
from moorage.registry.settings import RegistrySettings
from moorage.spec import reference as references

_HUB_HOST: Final = "registry-1.docker.io"
_Toml = Mapping[str, object]


def endpoints(settings: RegistrySettings, domain: str, path: str) -> list[Endpoint]:
    """Return the endpoints for repository *path* of *domain*, in the order to try them.

    Reads files and may look names up: call it off the event loop.
    Raises: System, naming the file that cannot be used.
    """
    found = [_mirror(settings, domain, url) for url in settings.mirrors.get(domain, ())]
    extra, server = _from_hosts_toml(settings, domain)
    found += extra
    found += _from_registries_conf(settings, domain, path)
    origin = server or Endpoint(
        api=f"https://{_HUB_HOST if domain == references.DEFAULT_DOMAIN else domain}/v2",
        domain=domain,
        tls=certificates(settings, domain),
    )
    result: list[Endpoint] = []
    for endpoint in (*found, origin):
        result += _with_plain(settings, endpoint)
    return result


def _with_plain(settings: RegistrySettings, endpoint: Endpoint) -> Iterable[Endpoint]:
    """Let an insecure registry's certificate be any, and plain HTTP the second way to it."""
    if endpoint.is_plain or not is_insecure(settings, endpoint.host):
        yield endpoint
        return
    lax = structs.replace(endpoint, tls=structs.replace(endpoint.tls, verify=False))
    plain = "http://" + endpoint.api.removeprefix("https://")
    yield structs.replace(lax, insecure_twin=True)
    yield structs.replace(lax, api=plain, insecure_alternative=True)


def is_insecure(settings: RegistrySettings, host: str) -> bool:
    """Whether *host* (with port) may be spoken to without verified TLS."""
    if host == _HUB_HOST:
        return False
    name = urlsplit(f"//{host}").hostname or ""
    if host.lower() in settings.insecure_hosts or name in settings.insecure_hosts:
        return True
    return any(
        address in network for address in _addresses(name) for network in settings.insecure_networks
    )


def _addresses(name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(name)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []  # the connection will fail with a better message
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _mirror(settings: RegistrySettings, domain: str, url: str) -> Endpoint:
    return Endpoint(
        api=f"{url}/v2",
        domain=domain,
        tls=certificates(settings, urlsplit(url).netloc),
        is_mirror=True,
        can_push=False,
    )


def certificates(settings: RegistrySettings, host: str) -> TLS:
    """Collect the certificates of ``certs.d/<host>`` as dockerd does.

    Raises: System, for a certificate without its key or a key without its certificate.
    """
    authorities: list[Path] = []
    clients: list[tuple[Path, Path]] = []
    for directory in _directories(settings, host):
        names = {entry.name for entry in directory.iterdir()}
        for name in sorted(names):
            stem = name.rpartition(".")[0]
            if name.endswith(".crt"):
                authorities.append(directory / name)
            elif name.endswith(".cert"):
                if f"{stem}.key" not in names:
                    raise System(
                        f"missing key {stem}.key for client certificate {directory / name}."
                        " CA certificates must use the extension .crt"
                    )
                clients.append((directory / name, directory / f"{stem}.key"))
            elif name.endswith(".key") and f"{stem}.cert" not in names:
                raise System(f"missing client certificate {stem}.cert for key {directory / name}")
    return TLS(authorities=tuple(authorities), clients=tuple(clients))


def _directories(settings: RegistrySettings, host: str) -> Iterable[Path]:
    if "/" in host or host in {"", ".", ".."}:
        return
    for parent in settings.certs_directories:
        if (parent / host).is_dir():
            yield parent / host


def _read_toml(path: Path) -> _Toml:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise System(f"cannot read {path}: {error}") from error


def _from_hosts_toml(
    settings: RegistrySettings, domain: str
) -> tuple[list[Endpoint], Endpoint | None]:
    """Read containerd's file: the mirrors, and the origin if it names another address."""
    for directory in _directories(settings, domain):
        path = directory / "hosts.toml"
        if not path.is_file():
            continue
        document = _read_toml(path)
        tables = document.get("host")
        mirrors = [
            _host_table(path, domain, str(url), table, is_mirror=True)
            for url, table in (tables.items() if isinstance(tables, dict) else ())
            if isinstance(table, dict)
        ]
        server = document.get("server")
        origin = (
            _host_table(path, domain, server, document, is_mirror=False)
            if isinstance(server, str) and server
            else None
        )
        if origin is not None and origin.tls == TLS():
            origin = structs.replace(origin, tls=certificates(settings, domain))
        return mirrors, origin
    return [], None


def _host_table(path: Path, domain: str, url: str, table: _Toml, *, is_mirror: bool) -> Endpoint:
    if "://" not in url:
        url = f"https://{url}"
    override = table.get("override_path") is True
    capabilities = _texts(table.get("capabilities")) or (
        ["pull", "resolve"] if is_mirror else ["pull", "resolve", "push"]
    )
    headers = table.get("header")
    return Endpoint(
        api=url.rstrip("/")
        if override or url.rstrip("/").endswith("/v2")
        else f"{url.rstrip('/')}/v2",
        domain=domain,
        tls=TLS(
            verify=table.get("skip_verify") is not True,
            authorities=tuple(path.parent / name for name in _texts(table.get("ca"))),
            clients=_client_pairs(path, table.get("client")),
        ),
        is_mirror=is_mirror,
        can_resolve="resolve" in capabilities,
        can_pull="pull" in capabilities,
        can_push="push" in capabilities,
        namespace=is_mirror,
        headers={
            str(name): ", ".join(_texts(value))
            for name, value in (headers.items() if isinstance(headers, dict) else ())
        },
    )


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _client_pairs(path: Path, value: object) -> tuple[tuple[Path, Path], ...]:
    """Read ``client``: one file, a pair, or a list of either."""
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        rows = [_texts(item) for item in value]
    else:
        rows = [[name] for name in _texts(value)]
    return tuple((path.parent / row[0], path.parent / row[-1]) for row in rows if row)


def _from_registries_conf(settings: RegistrySettings, domain: str, path: str) -> list[Endpoint]:
    """Read podman's file: the mirrors of the longest prefix that covers the repository.

    Raises: System, if the registry is ``blocked`` there.
    """
    if settings.registries_conf is None or not settings.registries_conf.is_file():
        return []
    tables = _read_toml(settings.registries_conf).get("registry")
    best: _Toml = {}
    best_prefix = ""
    for table in tables if isinstance(tables, list) else ():
        prefix = str(table.get("prefix") or table.get("location") or "")
        if len(prefix) > len(best_prefix) and f"{domain}/{path}/".startswith(f"{prefix}/"):
            best, best_prefix = table, prefix
    if best.get("blocked") is True:
        raise System(f"registry {best_prefix} is blocked in {settings.registries_conf}")
    mirrors = best.get("mirror")
    strip = f"{best_prefix.partition('/')[2]}/".removeprefix("/")
    found: list[Endpoint] = []
    for mirror in mirrors if isinstance(mirrors, list) else ():
        host, _, prefix = str(mirror.get("location", "")).partition("/")
        if not host:
            continue
        insecure = mirror.get("insecure") is True
        endpoint = Endpoint(
            api=f"https://{host}/v2",
            domain=domain,
            tls=structs.replace(certificates(settings, host), verify=not insecure),
            is_mirror=True,
            can_push=False,
            strip=strip,
            prepend=f"{prefix}/" if prefix else "",
            insecure_twin=insecure,
        )
        found.append(endpoint)
        if insecure:
            found.append(
                structs.replace(endpoint, api=f"http://{host}/v2", insecure_alternative=True)
            )
    return found
