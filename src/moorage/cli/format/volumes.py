"""Columns of ``moor volume ls``."""

from __future__ import annotations

from moorage.cli.format.listing import Table
from moorage.cli.row import Row
from moorage.cli.text import labels
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.client.jsonwire import Json

UNKNOWN = "N/A"


class VolumeRow(Row):
    """One volume."""

    kind = "formatter.volumeContext"

    def __init__(self, volume: Json) -> None:
        self.volume = volume

    def functions(self) -> dict[str, Callable[..., object]]:
        """Add ``.Label "name"``."""
        return {"Label": lambda self, name: (self.volume.get("Labels") or {}).get(name, "")}

    def links(self) -> str:
        """Return how many containers use it."""
        usage = self.volume.get("UsageData")
        return str(usage["RefCount"]) if usage else UNKNOWN

    def size(self) -> str:
        """Return the bytes in it."""
        usage = self.volume.get("UsageData")
        return units.human_size(usage["Size"]) if usage and usage["Size"] >= 0 else UNKNOWN

    columns = {  # noqa: RUF012
        "Availability": lambda _: UNKNOWN,
        "Driver": lambda self: self.volume["Driver"],
        "Group": lambda _: UNKNOWN,
        "Labels": lambda self: labels(self.volume.get("Labels")),
        "Links": links,
        "Mountpoint": lambda self: self.volume["Mountpoint"],
        "Name": lambda self: self.volume["Name"],
        "Scope": lambda self: self.volume["Scope"],
        "Size": size,
        "Status": lambda _: UNKNOWN,
    }


TABLE = Table(
    ("Driver", "Name"),
    {
        "Driver": "DRIVER",
        "Name": "VOLUME NAME",
        "Scope": "SCOPE",
        "Mountpoint": "MOUNTPOINT",
        "Labels": "LABELS",
        "Links": "LINKS",
        "Size": "SIZE",
        "Availability": "AVAILABILITY",
        "Group": "GROUP",
        "Status": "STATUS",
    },
    raw=(("name", "Name"), ("driver", "Driver")),
)
