"""Driver options: strings of the user, read as what they mean."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from moorage.lib.errors import InvalidParameter

MTU: Final = "com.docker.network.driver.mtu"
IFNAME: Final = "com.docker.network.endpoint.ifname"
SYSCTLS: Final = "com.docker.network.endpoint.sysctls"
PREFIX: Final = "com.docker.network.container_iface_prefix"

_INTERFACE: Final = re.compile(r"[A-Za-z0-9_.:@-]{1,15}\Z")
_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_MIN_MTU, _MAX_MTU = 68, 65535


def boolean(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return a boolean option in any of Go's spellings.

    Raises: InvalidParameter.
    """
    text = options.get(name, "")
    if not text:
        return default
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidParameter(f"failed to parse {name} value: {text} (should be boolean)")


def mtu(options: Mapping[str, str], default: int) -> int:
    """Return the MTU of a network; 0 = whatever the kernel takes.

    Raises: InvalidParameter.
    """
    text = options.get(MTU, "")
    if not text:
        return default
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidParameter(
            f"failed to parse {MTU} value: {text} (should be integer)"
        ) from error
    if number and not _MIN_MTU <= number <= _MAX_MTU:
        raise InvalidParameter(f"invalid MTU number: {number}")
    return number


def address(options: Mapping[str, str], name: str, version: int) -> str:
    """Return an address option of one IP version, or nothing.

    Raises: InvalidParameter.
    """
    text = options.get(name, "")
    if not text:
        return ""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidParameter(
            f"failed to parse {name} value: {text} (should be an IP address)"
        ) from error
    if parsed.version != version:
        raise InvalidParameter(f"{name} must be an IPv{version} address, not {text}")
    return str(parsed)


def interface_name(text: str, what: str) -> str:
    """Return *text* if an interface can be named so.

    Raises: InvalidParameter.
    """
    if not _INTERFACE.match(text) or text in {".", ".."}:
        raise InvalidParameter(
            f"invalid {what}: {text!r}", hint="1 to 15 letters, digits, '.', '-', '_'"
        )
    return text


def endpoint_sysctls(options: Mapping[str, str], interface: str) -> dict[str, str]:
    """Return the sysctls of one interface: ``net.ipv4.conf.IFNAME.x=1,net.…``.

    Raises: InvalidParameter, for anything not about the interface itself.
    """
    found: dict[str, str] = {}
    for item in filter(None, options.get(SYSCTLS, "").split(",")):
        name, equals, value = item.partition("=")
        parts = name.split(".")
        if (
            not equals
            or len(parts) != 5
            or parts[0] != "net"
            or parts[1] not in {"ipv4", "ipv6", "mpls"}
            or parts[2] not in {"conf", "neigh"}
            or parts[3] not in {"IFNAME", "ifname"}  # docker's client makes it small
            or not re.fullmatch(r"[a-z0-9_]+", parts[4])
        ):
            raise InvalidParameter(
                f"unrecognised network interface sysctl '{item}'",
                hint="give net.ipv4.conf.IFNAME.setting=value",
            )
        found[".".join((*parts[:3], interface.replace(".", "/"), parts[4]))] = value
    return found
