"""What the networks need of the host itself: forwarding between interfaces."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from moorage.lib.errors import System

log = logging.getLogger(__name__)
_IPV4: Path = Path("/proc/sys/net/ipv4/ip_forward")
_IPV6: Path = Path("/proc/sys/net/ipv6/conf/all/forwarding")
_IPV6_CONF: Path = Path("/proc/sys/net/ipv6/conf")


def enable_forwarding(*, ipv6: bool) -> None:
    """Let this host route between its interfaces.

    Where IPv6 forwarding is switched on, interfaces that take router advertisements are told to
    go on doing so: a router does not by default, and the host would lose its own way out.
    Raises: System.
    """
    try:
        _switch_on(_IPV4)
        if ipv6 and _IPV6.exists() and _IPV6.read_text().strip() == "0":
            for accept in _IPV6_CONF.glob("*/accept_ra"):
                if accept.read_text().strip() == "1":
                    accept.write_text("2")
            _switch_on(_IPV6)
    except OSError as error:
        raise System(
            f"cannot enable IP forwarding: {error}",
            hint='set "ip-forward": false in daemon.json if the host is not to route',
        ) from error


def _switch_on(path: Path) -> None:
    if path.read_text().strip() == "0":
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"1")
        finally:
            os.close(fd)
        log.info("switched on %s", path)
