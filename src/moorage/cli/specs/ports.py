"""``--publish`` and ``--expose``."""

from __future__ import annotations

from moorage.cli.kinds import split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    Bindings = dict[str, list[dict[str, str]]]

LAST_PORT = 65535
PROTOCOLS = frozenset({"tcp", "udp", "sctp"})


def publish(spec: str, bindings: Bindings) -> None:
    """Add what ``[ip:][host]:container[/protocol]`` or the long form publishes to *bindings*."""
    if "=" in spec:
        spec = _from_long_form(spec)
    rest, slash, protocol = spec.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    address, host, container = _split(rest)
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    first, last = _range(container, "containerPort")
    if not host:
        for port in range(first, last + 1):
            _bind(bindings, port, protocol, address, "")
        return
    host_first, host_last = _range(host, "hostPort")
    if host_last - host_first != last - first:
        if last != first:
            raise ValueError(
                f"invalid ranges specified for container and host Ports: {container} and {host}"
            )
        _bind(bindings, first, protocol, address, host)  # the daemon takes a free one of the range
        return
    for offset in range(last - first + 1):
        _bind(bindings, first + offset, protocol, address, str(host_first + offset))


def expose(spec: str) -> list[str]:
    """Return the keys of ExposedPorts for a port or a range."""
    port, slash, protocol = spec.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if ":" in port:
        raise ValueError(f"invalid port format for --expose: {spec}")
    try:
        first, last = _range(port, "port")
    except ValueError as e:
        raise ValueError(f"invalid range format for --expose: {spec}, error: {e}") from e
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


def _bind(bindings: Bindings, port: int, protocol: str, address: str, host: str) -> None:
    entry = {"HostIp": address, "HostPort": host}
    bindings.setdefault(f"{port}/{protocol}", []).append(entry)


def _split(text: str) -> tuple[str, str, str]:
    """Return address, host port and container port; an address in brackets may hold colons."""
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise ValueError(f"invalid IP address: {text}")
        host, _, container = rest[1:].rpartition(":")
        _check_address(address)
        return address, host, container
    parts = text.rsplit(":", 2)
    while len(parts) < 3:
        parts.insert(0, "")
    address, host, container = parts
    if address:
        _check_address(address)
    return address, host, container


def _check_address(address: str) -> None:
    from _socket import AF_INET, AF_INET6, inet_pton

    family = AF_INET6 if ":" in address else AF_INET
    try:
        inet_pton(family, address.partition("%")[0])
    except OSError as e:
        raise ValueError(f"invalid IP address: {address}") from e


def _range(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = (first, last if dash else first)
    for number in numbers:
        if not (number.isascii() and number.isdigit()) or int(number) > LAST_PORT:
            raise ValueError(f"invalid {what}: {text}")
    low, high = int(numbers[0]), int(numbers[1])
    if high < low:
        raise ValueError(f"invalid {what}: {text}: the range ends before it begins")
    return low, high


def _from_long_form(spec: str) -> str:
    """Turn ``target=80,published=8080,protocol=udp`` into the short form."""
    fields: dict[str, str] = {"protocol": "tcp", "published": ""}
    for field in split_csv(spec):
        key, equals, value = field.partition("=")
        if not equals or key.lower() not in {"target", "published", "protocol", "mode", "host_ip"}:
            raise ValueError(f"invalid field key {key}")
        fields[key.lower()] = value
    if "target" not in fields:
        raise ValueError(f"target port is missing: {spec}")
    address = fields.get("host_ip", "")
    front = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    published = fields["published"] + ":" if fields["published"] or front else ""
    return f"{front}{published}{fields['target']}/{fields['protocol']}"
