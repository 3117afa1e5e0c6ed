"""Log drivers and their options: which there are, and whether a container's make sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from moorage.lib import units
from moorage.lib.errors import InvalidParameter
from moorage.logs import tag

_TAGS: Final = {"labels", "labels-regex", "env", "env-regex", "tag"}
_EVERY: Final = {"mode", "max-buffer-size"}
_FILES: Final = {"max-size", "max-file", "compress"}

DRIVERS: Final[dict[str, set[str]]] = {
    "json-file": _FILES | _TAGS,
    "local": _FILES | {"labels", "labels-regex", "env", "env-regex"},
    "none": set(),
    "syslog": _TAGS
    | {"syslog-address", "syslog-facility", "syslog-format"}
    | {"syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify"},
    "journald": _TAGS,
    "gelf": _TAGS
    | {"gelf-address", "gelf-compression-type", "gelf-compression-level"}
    | {"gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"},
    "fluentd": _TAGS
    | {"fluentd-address", "fluentd-async", "fluentd-async-connect", "fluentd-buffer-limit"}
    | {"fluentd-retry-wait", "fluentd-max-retries", "fluentd-sub-second-precision"}
    | {"fluentd-request-ack", "fluentd-async-reconnect-interval", "fluentd-write-timeout"},
}
"""Every driver that a monitor can write, with the options it takes."""


_UNKNOWN: Final = {"local": "unknown log opt '{0}' for log driver {1}"}
_UNKNOWN_ELSE: Final = "unknown log opt '{0}' for {1} log driver"
_SCHEMES: Final = {
    "syslog": {"udp", "tcp", "tcp+tls", "unix", "unixgram"},
    "gelf": {"udp", "tcp"},
    "fluentd": {"tcp", "tls", "unix"},
}


def validate(driver: str, options: Mapping[str, str]) -> None:
    """Check what a user asks for.

    Raises: InvalidParameter, in Docker's words.
    """
    known = DRIVERS.get(driver)
    if known is None:
        raise InvalidParameter(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found'
        )
    for name, value in options.items():
        if name not in known and not (name in _EVERY and known):
            raise InvalidParameter(_UNKNOWN.get(driver, _UNKNOWN_ELSE).format(name, driver))
        _check_value(name, value)
    if options.get("mode", "blocking") != "non-blocking" and "max-buffer-size" in options:
        raise InvalidParameter(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        )
    tag.expand(options.get("tag", ""), {})
    _check_address(driver, options.get(f"{driver}-address", ""))
    if driver == "json-file" and "max-file" in options and "max-size" not in options:
        raise InvalidParameter("max-file cannot be used without max-size")


def _check_address(driver: str, address: str) -> None:
    """Refuse at once what the monitor could not open. Of fluentd the bare host is an address."""
    if driver == "gelf" and not address:
        raise InvalidParameter("gelf-address is a required parameter")
    if not address or driver not in _SCHEMES:
        return
    scheme, separator, _ = address.partition("://")
    if driver == "fluentd" and not separator:
        return
    if not separator:
        scheme = ""
    if scheme in _SCHEMES[driver]:
        return
    if driver == "gelf":
        raise InvalidParameter("gelf: endpoint needs to be TCP or UDP")
    raise InvalidParameter(f"unsupported scheme: '{scheme}'")


def _check_value(name: str, value: str) -> None:
    if name == "max-buffer-size" or (name == "max-size" and value != "-1"):
        try:
            units.parse_bytes(value)
        except ValueError:
            raise InvalidParameter(f"invalid value for {name}: {value}") from None
    elif name == "max-file" and not (value.isdecimal() and int(value) >= 1):
        raise InvalidParameter(f"invalid value for max-file: {value}: must be a positive number")
    elif name == "compress" and value.lower() not in {"true", "false", "1", "0", "t", "f"}:
        raise InvalidParameter(f"invalid value for compress: {value}: must be true or false")
    elif name == "mode" and value not in {"blocking", "non-blocking"}:
        raise InvalidParameter(f"logger: logging mode not supported: {value}")
    elif name.endswith("-regex"):
        try:
            re.compile(value)
        except re.error as error:
            raise InvalidParameter(f"invalid value for {name}: {value}: {error}") from error
