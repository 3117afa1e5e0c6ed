"""What ``swarm init`` and ``swarm join`` share: the addresses of the node, and its availability."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.client.jsonwire import Json

_AVAILABILITIES = "active pause drain"
LISTEN = "0.0.0.0:2377"
OPTIONS = (
    Option("advertise-addr", "", "string", "Address others reach it by (<ip|interface>[:port])"),
    Option(
        "availability",
        "",
        "string",
        'Whether it takes tasks ("active", "pause", "drain")',
        "active",
        choices=_AVAILABILITIES,
    ),
    Option("data-path-addr", "", "string", "Address for the containers' traffic (<ip|interface>)"),
    Option("listen-addr", "", "node-addr", "Address to listen on (<ip|interface>[:port])", LISTEN),
)


def body(values: Values) -> Json:
    """Return the part of the request that both have.

    Raises: CommandError.
    """
    availability = values.text("availability").lower()
    if availability not in _AVAILABILITIES.split():
        raise CommandError(
            f'invalid availability "{values.text("availability")}", only active, pause and drain '
            "are supported"
        )
    return {
        "ListenAddr": values.text("listen-addr"),
        "AdvertiseAddr": values.text("advertise-addr"),
        "DataPathAddr": values.text("data-path-addr"),
        "Availability": availability,
    }
