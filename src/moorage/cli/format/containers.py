"""Columns of ``moor ps``."""

from __future__ import annotations

from moorage.cli.format.listing import Table
from moorage.cli.row import Row
from moorage.cli.text import age, ellipsis, go_time, labels, short_id
from moorage.lib import units
from moorage.lib.gotext import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.client.jsonwire import Json

COMMAND_WIDTH = 20
MOUNT_WIDTH = 15


class ContainerRow(Row):
    """One container of a listing."""

    kind = "formatter.ContainerContext"

    def __init__(self, summary: Json, *, truncate: bool) -> None:
        self.summary = summary
        self.truncate = truncate

    def functions(self) -> dict[str, Callable[..., object]]:
        """Add ``.Label "name"``."""
        return {"Label": ContainerRow.label}

    def identifier(self) -> str:
        """Return the ID, shortened unless --no-trunc."""
        return short_id(self.summary["Id"]) if self.truncate else str(self.summary["Id"])

    def names(self) -> str:
        """Return the name; with --no-trunc also those that links gave it."""
        found = [name.removeprefix("/") for name in self.summary.get("Names") or ()]
        if self.truncate:
            found = [name for name in found if "/" not in name][:1] or found
        return ",".join(found)

    def image(self) -> str:
        """Return the image as it was asked for; a digest only if there is no tag."""
        image = str(self.summary.get("Image") or "<no image>")
        if not self.truncate:
            return image
        if short_id(image) == short_id(self.summary.get("ImageID", "")):
            return short_id(image)
        name, at, _ = image.partition("@")
        return name if at and ":" in name.rpartition("/")[2] else image

    def command(self) -> str:
        """Return the quoted command line."""
        text = str(self.summary.get("Command") or "")
        return quote(ellipsis(text, COMMAND_WIDTH) if self.truncate else text)

    def size(self) -> str:
        """Return the size of the writable layer, and with the image."""
        own = units.human_size(self.summary.get("SizeRw") or 0, precision=3)
        whole = self.summary.get("SizeRootFs") or 0
        return f"{own} (virtual {units.human_size(whole, precision=3)})" if whole > 0 else own

    def mounts(self) -> str:
        """Return names or sources of the mounts."""
        found = [m.get("Name") or m.get("Source") or "" for m in self.summary.get("Mounts") or ()]
        return ",".join(ellipsis(m, MOUNT_WIDTH) if self.truncate else m for m in found)

    def local_volumes(self) -> str:
        """Return the number of local volumes."""
        return str(sum(m.get("Driver") == "local" for m in self.summary.get("Mounts") or ()))

    def networks(self) -> str:
        """Return the names of the networks."""
        return ",".join((self.summary.get("NetworkSettings") or {}).get("Networks") or {})

    def platform(self) -> object:
        """Return the image's platform; a nil pointer where it is not known."""
        from moorage.cli.template.values import Nil

        descriptor = self.summary.get("ImageManifestDescriptor") or {}
        return descriptor.get("platform") or Nil("pointer")

    def label(self, name: str) -> str:
        """Return one label."""
        return str((self.summary.get("Labels") or {}).get(name, ""))

    columns = {  # noqa: RUF012
        "Command": command,
        "CreatedAt": lambda self: go_time(self.summary["Created"] * 1_000_000_000),
        "ID": identifier,
        "Image": image,
        "Labels": lambda self: labels(self.summary.get("Labels")),
        "LocalVolumes": local_volumes,
        "Mounts": mounts,
        "Names": names,
        "Networks": networks,
        "Platform": platform,
        "Ports": lambda self: ports(self.summary.get("Ports") or []),
        "RunningFor": lambda self: age(self.summary["Created"]),
        "Size": size,
        "State": lambda self: self.summary.get("State") or "",
        "Status": lambda self: self.summary.get("Status") or "",
    }


def ports(published: list[Json]) -> str:
    """Return ports as ``0.0.0.0:80->80/tcp``; neighbours published under their own number join."""
    groups: dict[str, list[list[int]]] = {}
    moved: list[str] = []
    for port in sorted(published, key=_port_order):
        inside, address = port["PrivatePort"], port.get("IP") or ""
        host = f"[{address}]" if ":" in address else address
        if address and port.get("PublicPort") != inside:
            moved.append(f"{host}:{port.get('PublicPort', 0)}->{inside}/{port['Type']}")
            continue
        runs = groups.setdefault(f"{host}/{port['Type']}", [])
        if runs and runs[-1][1] == inside - 1:
            runs[-1][1] = inside
        else:
            runs.append([inside, inside])
    ends = [(key, run) for key, runs in groups.items() for run in runs[:-1]]
    ends += [(key, runs[-1]) for key, runs in groups.items()]
    return ", ".join([*(_port_group(key, run) for key, run in ends), *moved])


def _port_order(port: Json) -> tuple[int, str, int, str]:
    return (
        port["PrivatePort"],
        port.get("IP") or "",
        port.get("PublicPort") or 0,
        port.get("Type") or "",
    )


def _port_group(key: str, run: list[int]) -> str:
    host, _, protocol = key.rpartition("/")
    span = str(run[0]) if run[0] == run[1] else f"{run[0]}-{run[1]}"
    return f"{host}:{span}->{span}/{protocol}" if host else f"{span}/{protocol}"


TABLE = Table(
    ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"),
    {
        "ID": "CONTAINER ID",
        "Names": "NAMES",
        "Image": "IMAGE",
        "Command": "COMMAND",
        "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED",
        "Ports": "PORTS",
        "State": "STATE",
        "Status": "STATUS",
        "Size": "SIZE",
        "Labels": "LABELS",
        "Mounts": "MOUNTS",
        "LocalVolumes": "LOCAL VOLUMES",
        "Networks": "NETWORKS",
    },
    raw=(
        *(("container_id", "ID"), ("image", "Image"), ("command", "Command")),
        *(("created_at", "CreatedAt"), ("state", "State"), ("status", "Status")),
        *(("names", "Names"), ("labels", "Labels"), ("ports", "Ports")),
    ),
)
SIZED_TABLE = Table((*TABLE.columns, "Size"), TABLE.headings, (*TABLE.raw, ("size", "Size")))
