"""Which proxy a request goes through, as Go's ``httpproxy`` decides; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct


class Proxies(Struct, frozen=True, kw_only=True):
    """Settings of ``daemon.json`` (``proxies``) or of the environment."""

    http: str = ""
    https: str = ""
    exceptions: str = ""  # NO_PROXY: hosts, .suffixes, addresses, CIDR, each with an optional port

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Read HTTP_PROXY, HTTPS_PROXY and NO_PROXY in either case."""

        def read(name: str) -> str:
            return environment.get(name) or environment.get(name.lower()) or ""

        return cls(http=read("HTTP_PROXY"), https=read("HTTPS_PROXY"), exceptions=read("NO_PROXY"))

    def choose(self, url: str) -> str | None:
        """Return the proxy for *url*, or None; this machine itself is never asked for by proxy."""
        parts = urlsplit(url)
        proxy = self.https if parts.scheme == "https" else self.http
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if not proxy or self._direct(host, port):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _direct(self, host: str, port: int) -> bool:
        address = _address(host)
        if host == "localhost" or (address is not None and address.is_loopback):
            return True
        return any(
            _matches(rule.strip().lower(), host.lower(), port, address)
            for rule in self.exceptions.split(",")
            if rule.strip()
        )


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _matches(rule: str, host: str, port: int, address: Address | None) -> bool:
    if rule == "*":
        return True
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, wanted_port = rule.rpartition(":")
    if colon and wanted_port.isdigit() and (":" not in name or name.startswith("[")):
        if int(wanted_port) != port:
            return False
        rule = name.strip("[]")
    if address is not None:
        return _address(rule) == address
    suffix = rule.removeprefix("*")
    return host == suffix.removeprefix(".") or host.endswith("." + suffix.removeprefix("."))
