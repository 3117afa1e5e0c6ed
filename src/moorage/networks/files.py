"""Contents of /etc/hosts and /etc/resolv.conf. Pure; every word is checked before it is written.

A newline or a space in an alias, a host name or a search domain would add lines or names of the
attacker's choice, so nothing that ends a word passes, and of others' names nothing but the letters
of such names (the class moby fuzzes etchosts for).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from moorage.lib.errors import InvalidParameter

HOST_GATEWAY: Final = "host-gateway"
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?\Z")
_WRITTEN: Final = re.compile(r"[^\s#/\\\x00-\x20\x7f]{1,255}\Z")
_OPTION: Final = re.compile(r"[A-Za-z0-9_:.-]{1,64}\Z")
_FALLBACK: Final = ("8.8.8.8", "8.8.4.4")
_LOCAL: Final = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def is_name(text: str) -> bool:
    """Whether *text* may stand as a host name in a file or an answer."""
    return bool(_NAME.match(text))


def is_written(text: str) -> bool:
    """Whether *text* may stand in /etc/hosts as the name that a container gives itself."""
    return text.isprintable() and bool(_WRITTEN.match(text))


def split_extra_host(text: str) -> tuple[str, str]:
    """Split ``name:address`` or ``name=address``.

    Raises: InvalidParameter, with Docker's sentence.
    """
    found = re.match(r"([^:=]+)[:=](.*)\Z", text, re.DOTALL)
    if not found:
        raise InvalidParameter(f'bad format for add-host: "{text}"')
    name, address = found[1], found[2].strip("[]")
    if not is_name(name):
        raise InvalidParameter(f'bad format for add-host: "{text}"', hint="the name is not one")
    if address != HOST_GATEWAY:
        try:
            address = str(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError as error:
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from error
    return name, address


def extra_hosts(entries: Iterable[str], gateways: Iterable[str]) -> list[tuple[str, str]]:
    """Return (address, name) of ``--add-host`` options; ``host-gateway`` gives each of *gateways*.

    Raises: InvalidParameter.
    """
    found: list[tuple[str, str]] = []
    for entry in entries:
        name, address = split_extra_host(entry)
        if address == HOST_GATEWAY:
            known = list(gateways)
            if not known:
                raise InvalidParameter(
                    "unable to derive the IP value for host-gateway",
                    hint="the container has no network whose gateway is this host",
                )
            found += [(gateway, name) for gateway in known]
        else:
            found.append((address, name))
    return found


def hosts(entries: Iterable[tuple[str, str]]) -> bytes:
    """Return /etc/hosts: the local names, then *entries* of (address, names)."""
    lines = [_LOCAL]
    for address, names in entries:
        known = " ".join(name for name in names.split() if is_written(name))
        if known:
            lines.append(f"{ipaddress.ip_address(address)}\t{known}\n")
    return "".join(lines).encode()


def own_names(hostname: str, domainname: str) -> str:
    """Return the names of the container itself, the longest first."""
    if not hostname:
        return ""
    if domainname:
        return f"{hostname}.{domainname} {hostname}"
    short = hostname.partition(".")[0]
    return hostname if short == hostname else f"{hostname} {short}"


class Resolver:
    """What a resolv.conf says."""

    def __init__(
        self,
        servers: Iterable[str] = (),
        search: Iterable[str] = (),
        options: Iterable[str] = (),
    ) -> None:
        self.servers = list(servers)
        self.search = list(search)
        self.options = list(options)

    @classmethod
    def parse(cls, text: str) -> Resolver:
        """Read a resolv.conf; lines nobody understands are left out."""
        found = cls()
        for line in text.splitlines():
            words = line.split("#")[0].split(";")[0].split()
            match words:
                case ["nameserver", server, *_]:
                    found.servers.append(server)
                case ["search" | "domain", *domains]:
                    found.search = domains
                case ["options", *options]:
                    found.options += options
                case _:
                    pass
        return found

    def overridden(
        self, servers: Iterable[str], search: Iterable[str], options: Iterable[str]
    ) -> Resolver:
        """Return this with what the user gave in its place; the search domain ``.`` means none."""
        domains = list(search)
        if "." in domains:
            domains = [d for d in domains if d != "."]
            return Resolver(list(servers) or self.servers, domains, list(options) or self.options)
        return Resolver(
            list(servers) or self.servers, domains or self.search, list(options) or self.options
        )

    def reachable_inside(self) -> list[str]:
        """Return the servers a container can ask itself: none of the host's loopback."""
        outside = [s for s in self.servers if not _is_loopback(s)]
        return outside or list(_FALLBACK)

    def render(self, servers: Iterable[str], *, note: str = "") -> bytes:
        """Return a resolv.conf that names *servers*.

        Raises: InvalidParameter, for words that are no address, domain or option.
        """
        lines = [note] if note else []
        lines += [f"nameserver {check_server(server)}" for server in servers]
        if self.search:
            lines.append("search " + " ".join(check_domain(d) for d in self.search))
        if self.options:
            lines.append("options " + " ".join(check_option(o) for o in self.options))
        return ("\n".join(lines) + "\n").encode()


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_server(text: str) -> str:
    """Return a name server's address.

    Raises: InvalidParameter.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameter(f"{text} is not an ip address") from error
    return text


def check_domain(text: str) -> str:
    """Return a search domain.

    Raises: InvalidParameter.
    """
    if not is_name(text.rstrip(".")):
        raise InvalidParameter(f"{text!r} is not a valid domain")
    return text


def check_option(text: str) -> str:
    """Return a resolver option such as ``ndots:2``.

    Raises: InvalidParameter.
    """
    if not _OPTION.match(text):
        raise InvalidParameter(f"{text!r} is not a valid resolver option")
    return text


def check_options(
    hosts: Iterable[str], servers: Iterable[str], search: Iterable[str], options: Iterable[str]
) -> None:
    """Check the options about names of a container that is made.

    Raises: InvalidParameter.
    """
    for entry in hosts:
        split_extra_host(entry)
    for server in servers:
        check_server(server)
    for domain in search:
        if domain != ".":
            check_domain(domain)
    for option in options:
        check_option(option)
