"""``moor system df``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.format import tabwriter
from moorage.cli.format.disk import (
    CACHE_TABLE,
    CONTAINER_TABLE,
    IMAGE_TABLE,
    SUMMARY_TABLE,
    VOLUME_TABLE,
    CacheRow,
    summary_rows,
)
from moorage.cli.format.listing import FORMAT_HELP, Table, show
from moorage.cli.options import Command, Option
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.cli.options import Values
    from moorage.cli.row import Row
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, _: list[str]) -> None:
    """Show the disk space that images, containers, volumes and the build cache take."""
    format_ = values.text("format")
    verbose = values.flag("verbose")
    if verbose and format_ and not format_.startswith(("{{", "json")):
        raise CommandError("the verbose flag and a table format cannot be used together")
    usage = session.api.get("/system/df")
    if verbose:
        _show_details(session, usage, format_)
    else:
        show(session, summary_rows(usage), SUMMARY_TABLE, format_)


def _show_details(session: Session, usage: Json, format_: str) -> None:
    images, containers, volumes, caches = _details(usage, truncate=not format_)
    if format_:
        from moorage.cli.format.templated import render_one
        from moorage.cli.template.values import Map

        tables = {
            "Images": images,
            "Containers": containers,
            "Volumes": volumes,
            "BuildCache": caches,
        }
        named: dict[str, object] = {
            name: [row.plain() for row in rows] if format_ == "json" else list(rows)
            for name, rows in tables.items()
        }
        session.out.write(render_one(Map(named), format_))
        return
    cache_size = sum(c["Size"] for c in usage.get("BuildCache") or () if not c["Shared"])
    for heading, rows, table in (
        ("Images space usage", images, IMAGE_TABLE),
        ("Containers space usage", containers, CONTAINER_TABLE),
        ("Local Volumes space usage", volumes, VOLUME_TABLE),
        (f"Build cache usage: {units.human_size(cache_size)}", caches, CACHE_TABLE),
    ):
        title = heading if "usage:" in heading else f"{heading}:"
        start = "" if heading.startswith("Images") else "\n"
        session.out.write(f"{start}{title}\n\n{_table(rows, table)}")


def _details(
    usage: Json, *, truncate: bool
) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row], Sequence[Row]]:
    from moorage.cli.format import images
    from moorage.cli.format.containers import ContainerRow
    from moorage.cli.format.volumes import VolumeRow

    found = sorted(usage.get("Volumes") or (), key=lambda volume: str(volume["Name"]))
    for container in usage.get("Containers") or ():
        container["SizeRootFs"] = 0  # the image's share stands in its own table
    return (
        images.rows(usage.get("Images") or [], truncate=truncate, digests=False),
        [ContainerRow(container, truncate=truncate) for container in usage.get("Containers") or ()],
        [VolumeRow(volume) for volume in found],
        [CacheRow(cache) for cache in usage.get("BuildCache") or ()],
    )


def _table(rows: Sequence[Row], table: Table) -> str:
    lines = ["\t".join(table.headings[name] for name in table.columns)]
    lines += ["\t".join(str(row.columns[name](row)) for name in table.columns) for row in rows]
    return tabwriter.align(lines)


COMMAND = Command(
    run,
    options=(
        Option("format", "", "string", FORMAT_HELP),
        Option("verbose", "v", "bool", "Show every object"),
    ),
)
