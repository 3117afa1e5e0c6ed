"""``--network`` in its short and long form."""

from __future__ import annotations

from moorage.cli.kinds import split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

_BUILT_IN = frozenset({"", "default", "bridge", "host", "none"})


class Attachment:
    """One network to join, and how."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.endpoint: Json = {}

    @property
    def user_defined(self) -> bool:
        """Whether it is a network somebody made."""
        return self.target not in _BUILT_IN and not self.target.startswith("container:")

    def address(self, key: str, value: str) -> None:
        """Set a fixed address in the endpoint's IPAMConfig."""
        self.endpoint.setdefault("IPAMConfig", {})[key] = value


def network(spec: str) -> Attachment:
    """Parse a network's name, or ``name=…,alias=…,ip=…``."""
    if "=" not in spec:
        return Attachment(spec)
    attachment = Attachment("")
    for field in split_csv(spec):
        key, equals, value = field.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals:
            raise ValueError(f"invalid field {field}")
        _set(attachment, key, value)
    if not attachment.target:
        raise ValueError("network name/id is not specified")
    return attachment


def _set(  # noqa: C901 - one case for each key
    attachment: Attachment, key: str, value: str
) -> None:
    endpoint = attachment.endpoint
    if key == "name":
        attachment.target = value
    elif key == "alias":
        endpoint.setdefault("Aliases", []).append(value)
    elif key == "driver-opt":
        name, equals, text = value.partition("=")
        if not equals:
            raise ValueError(f"invalid key value pair format in driver options: {value}")
        endpoint.setdefault("DriverOpts", {})[name] = text
    elif key == "ip":
        attachment.address("IPv4Address", value)
    elif key == "ip6":
        attachment.address("IPv6Address", value)
    elif key == "link-local-ip":
        endpoint.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(value)
    elif key == "mac-address":
        endpoint["MacAddress"] = value
    elif key == "gw-priority":
        try:
            endpoint["GwPriority"] = int(value)
        except ValueError as e:
            raise ValueError(f"invalid gw-priority: {value}") from e
    else:
        raise ValueError(f"invalid field key {key}")
