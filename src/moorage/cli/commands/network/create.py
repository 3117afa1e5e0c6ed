"""``moor network create``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make a network and print its ID."""
    body: Json = {
        "Name": arguments[0],
        "Driver": values.text("driver"),
        "Scope": values.text("scope"),
        "Internal": values.flag("internal"),
        "Attachable": values.flag("attachable"),
        "Ingress": values.flag("ingress"),
        "ConfigOnly": values.flag("config-only"),
        "Options": values.pairs("opt"),
        "Labels": dict(label.partition("=")[::2] for label in values.many("label")),
        "IPAM": {
            "Driver": values.text("ipam-driver"),
            "Options": values.pairs("ipam-opt"),
            "Config": ipam_config(values),
        },
    }
    if values.text("config-from"):
        body["ConfigFrom"] = {"Network": values.text("config-from")}
    for flag, field in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if values.changed(flag):
            body[field] = values.flag(flag)
    answer = session.api.post("/networks/create", body)
    if answer.get("Warning"):
        session.err.line(f"WARNING: {answer['Warning']}")
    session.out.line(answer["Id"])


def ipam_config(values: Values) -> list[Json]:
    """Put ranges, gateways and reserved addresses to the subnets that hold them.

    Raises: CommandError.
    """
    subnets = values.many("subnet")
    ranges, gateways = values.many("ip-range"), values.many("gateway")
    auxiliary = values.pairs("aux-address")
    if not subnets and (ranges or gateways or auxiliary):
        raise CommandError("every ip-range or gateway must have a corresponding subnet")
    if not subnets:
        return []
    plan = _Plan(subnets)
    for range_ in ranges:
        _once(plan.owner(range_, "range"), "IPRange", range_, "ranges")
    for gateway in gateways:
        _once(plan.owner(gateway, "gateway"), "Gateway", gateway, "gateways")
    for name, address in auxiliary.items():
        owner = plan.owner(address, "aux-address")
        owner.setdefault("AuxiliaryAddresses", {})[name] = address
    return plan.configs


class _Plan:
    """The subnets of a network, and which of them an address belongs to."""

    def __init__(self, subnets: list[str]) -> None:
        import ipaddress

        self.read = ipaddress.ip_network
        self.configs: list[Json] = [{"Subnet": subnet} for subnet in subnets]
        self.parsed = [self._parse(subnet, "subnet") for subnet in subnets]
        for at, one in enumerate(self.parsed):
            if any(one.overlaps(other) for other in self.parsed[:at]):
                raise CommandError("multiple overlapping subnet configuration is not supported")

    def owner(self, address: str, what: str) -> Json:
        """Return the configuration of the subnet that holds *address*."""
        place = self._parse(address, what)
        for config, subnet in zip(self.configs, self.parsed, strict=True):
            narrower = place.version == subnet.version and place.prefixlen >= subnet.prefixlen
            if narrower and place.network_address in subnet:
                return config
        raise CommandError(f"no matching subnet for {what} {address}")

    def _parse(self, text: str, what: str) -> IPv4Network | IPv6Network:
        try:
            return self.read(text, strict=False)
        except ValueError as e:
            raise CommandError(f"invalid {what} {text}: {e}") from e


def _once(config: Json, field: str, value: str, what: str) -> None:
    if field in config:
        raise CommandError(
            f"cannot configure multiple {what} ({value}, {config[field]}) on the same subnet "
            f"({config['Subnet']})"
        )
    config[field] = value


COMMAND = Command(
    run,
    arguments="NETWORK",
    least=1,
    most=1,
    options=(
        Option("attachable", "", "bool", "Let containers be attached by hand"),
        Option("aux-address", "", "map", "Address that must not be given out (name=address)"),
        Option("config-from", "", "string", "Network to copy the configuration from"),
        Option("config-only", "", "bool", "Make a configuration, no network"),
        Option("driver", "d", "string", "Driver of the network", "bridge"),
        Option("gateway", "", "strings", "Gateway of a subnet"),
        Option("ingress", "", "bool", "Make a swarm's routing mesh"),
        Option("internal", "", "bool", "No way out of the network"),
        Option("ip-range", "", "strings", "Part of the subnet that addresses come from"),
        Option("ipam-driver", "", "string", "Driver that hands out addresses", "default"),
        Option("ipam-opt", "", "map", "Option of that driver"),
        Option("ipv4", "", "bool", "Give IPv4 addresses", True),  # noqa: FBT003
        Option("ipv6", "", "bool", "Give IPv6 addresses"),
        Option("label", "", "list", "Set a label"),
        Option("opt", "o", "map", "Option of the driver"),
        Option("scope", "", "string", "Scope of the network"),
        Option("subnet", "", "strings", "Subnet, such as 172.30.0.0/16"),
    ),
)
