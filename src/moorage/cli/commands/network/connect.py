"""``moor network connect``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Join a container to a network."""
    network, container = arguments
    endpoint: Json = {
        "IPAMConfig": {
            "IPv4Address": values.text("ip"),
            "IPv6Address": values.text("ip6"),
            "LinkLocalIPs": values.many("link-local-ip"),
        },
        "Links": values.many("link"),
        "Aliases": values.many("alias"),
        "DriverOpts": _driver_options(values.many("driver-opt")),
    }
    if values.changed("gw-priority"):
        endpoint["GwPriority"] = values.number("gw-priority")
    body = {"Container": container, "EndpointConfig": endpoint}
    session.api.post(f"/networks/{network}/connect", body)


def _driver_options(pairs: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise CommandError(
                f"invalid key/value pair format in driver options: '{pair}', expected key=value"
            )
        options[key] = value
    return options


COMMAND = Command(
    run,
    arguments="NETWORK CONTAINER",
    least=2,
    most=2,
    complete="networks containers",
    options=(
        Option("alias", "", "strings", "Additional name inside the network"),
        Option("driver-opt", "", "strings", "Option of the network's driver"),
        Option("gw-priority", "", "int", "The highest gives the container its default gateway"),
        Option("ip", "", "string", 'IPv4 address (e.g., "172.30.100.104")'),
        Option("ip6", "", "string", 'IPv6 address (e.g., "2001:db8::33")'),
        Option("link", "", "list", "Link to another container"),
        Option("link-local-ip", "", "strings", "Link-local address"),
    ),
)
