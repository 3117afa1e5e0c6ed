"""``moor port``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.kinds import convert
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _values: Values, arguments: list[str]) -> None:
    """Print all published ports, or where one is published."""
    record = session.api.get(f"/containers/{arguments[0]}/json")
    ports = record["NetworkSettings"].get("Ports") or {}
    if len(arguments) == 1:
        for key in sorted(ports, key=_order):
            for binding in ports[key] or ():
                session.out.line(f"{key} -> {_address(binding)}")
        return
    port, _, protocol = arguments[1].partition("/")
    try:
        number = convert("uint16", port)
    except ValueError as e:
        raise CommandError(f"Error: invalid port ({port}): {e}") from e
    bindings = ports.get(f"{number}/{protocol or 'tcp'}")
    if not bindings:
        raise CommandError(f"Error: No public port '{arguments[1]}' published for {arguments[0]}")
    for binding in bindings:
        session.out.line(_address(binding))


def _order(key: str) -> tuple[int, str]:
    port, _, protocol = key.partition("/")
    return int(port), protocol


def _address(binding: dict[str, str]) -> str:
    host = binding.get("HostIp") or "0.0.0.0"  # noqa: S104 - shown, not bound
    return f"[{host}]:{binding['HostPort']}" if ":" in host else f"{host}:{binding['HostPort']}"


COMMAND = Command(
    run, arguments="CONTAINER [PRIVATE_PORT[/PROTO]]", least=1, most=2, complete="running"
)
