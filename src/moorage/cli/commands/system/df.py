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
    DetailsRow,
    items,
    summary_rows,
)
from moorage.cli.format.listing import Table, render, show
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.lib import units

COUNTS_ALONE = "1.52"  # from here on the objects come only when asked for

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
    if not verbose:
        show(session, summary_rows(session.api.get("/system/df")), SUMMARY_TABLE, format_)
        return
    usage = session.api.get("/system/df", verbose=session.api.at_least(COUNTS_ALONE) or None)
    if format_ in {"", "table"}:
        _show_tables(session, usage)
        return
    if format_ == "raw":
        _show_raw(session, usage)
        return
    from moorage.cli.format.templated import render_one

    is_table = format_.startswith("table ")
    details = DetailsRow(_details(usage, truncate=is_table))
    try:
        session.out.write(render_one(details, format_.removeprefix("table ")))
    except CommandError as e:
        raise CommandError(e.message) from e  # docker's status here is 1 for any template


def _show_tables(session: Session, usage: Json) -> None:
    rows = _details(usage, truncate=True)
    cache_size = sum(c["Size"] for c in items(usage, "BuildCache") if not c["Shared"])
    tables = (
        ("Images space usage:", IMAGE_TABLE),
        ("\nContainers space usage:", CONTAINER_TABLE),
        ("\nLocal Volumes space usage:", VOLUME_TABLE),
        (f"\nBuild cache usage: {units.human_size(cache_size)}", CACHE_TABLE),
    )
    for (title, table), found in zip(tables, rows.values(), strict=True):
        session.out.write(f"{title}\n\n{_table(found, table)}")


def _show_raw(session: Session, usage: Json) -> None:
    """Show every object as lines ``name: value``."""
    kinds = (
        ("Image", IMAGE_TABLE),
        ("Container", CONTAINER_TABLE),
        ("Volume", VOLUME_TABLE),
        ("Build Cache", CACHE_TABLE),
    )
    found = _details(usage, truncate=False).values()
    for (kind, table), rows in zip(kinds, found, strict=True):
        for row in rows:
            session.out.write(f"type: {kind}\n{render([row], table, 'raw')}")


def _details(usage: Json, *, truncate: bool) -> dict[str, Sequence[Row]]:
    from moorage.cli.format import images
    from moorage.cli.format.containers import ContainerRow
    from moorage.cli.format.volumes import VolumeRow

    found = sorted(items(usage, "Volumes"), key=lambda volume: str(volume["Name"]))
    containers = items(usage, "Containers")
    for container in containers:
        container["SizeRootFs"] = 0  # the image's share stands in its own table
    return {
        "Images": [images.first_row(i, truncate=truncate) for i in items(usage, "Images")],
        "Containers": [ContainerRow(c, truncate=truncate) for c in containers],
        "Volumes": [VolumeRow(volume) for volume in found],
        "BuildCache": [CacheRow(c, truncate=truncate) for c in items(usage, "BuildCache")],
    }


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
