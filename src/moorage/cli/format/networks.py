"""Columns of ``moor network ls``."""

from __future__ import annotations

from moorage.cli.format.listing import Table
from moorage.cli.row import Row
from moorage.cli.text import go_time, labels, short_id
from moorage.lib import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.client.jsonwire import Json


class NetworkRow(Row):
    """One network."""

    kind = "network.networkContext"

    def __init__(self, summary: Json, *, truncate: bool) -> None:
        self.summary = summary
        self.truncate = truncate

    def functions(self) -> dict[str, Callable[..., object]]:
        """Add ``.Label "name"``."""
        return {"Label": lambda self, name: (self.summary.get("Labels") or {}).get(name, "")}

    def identifier(self) -> str:
        """Return the ID, shortened unless --no-trunc."""
        return short_id(self.summary["Id"]) if self.truncate else str(self.summary["Id"])

    def flag(self, name: str) -> str:
        """Return a boolean as Go prints it."""
        return str(bool(self.summary.get(name))).lower()

    columns = {  # noqa: RUF012
        "CreatedAt": lambda self: go_time(
            clock.parse_rfc3339(self.summary["Created"]), local=False
        ),
        "Driver": lambda self: self.summary["Driver"],
        "ID": identifier,
        "IPv4": lambda self: self.flag("EnableIPv4"),
        "IPv6": lambda self: self.flag("EnableIPv6"),
        "Internal": lambda self: self.flag("Internal"),
        "Labels": lambda self: labels(self.summary.get("Labels")),
        "Name": lambda self: self.summary["Name"],
        "Scope": lambda self: self.summary["Scope"],
    }


TABLE = Table(
    ("ID", "Name", "Driver", "Scope"),
    {
        "ID": "NETWORK ID",
        "Name": "NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "IPv4": "IPV4",
        "IPv6": "IPV6",
        "Internal": "INTERNAL",
        "Labels": "LABELS",
        "CreatedAt": "CREATED AT",
    },
    raw=(("network_id", "ID"), ("name", "Name"), ("driver", "Driver"), ("scope", "Scope")),
)
