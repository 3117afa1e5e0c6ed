"""``moor images --tree``: every image with the platforms it is for."""

from __future__ import annotations

from moorage.cli.text import short_id
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

HEADINGS = ("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA")
LEGEND = "i Info →   U  In Use\n"
_GAP = "   "
_UNTAGGED = "<untagged>"


def tree(summaries: list[Json], *, truncate: bool = True) -> str:
    """Return the tree: names, below them the platforms that are here."""
    rows: list[tuple[str, ...]] = []
    for summary in summaries:
        if rows:
            rows.append(("",) * len(HEADINGS))
        rows += _image(summary, truncate=truncate)
    return LEGEND + "\n" + _aligned(rows)


def _image(summary: Json, *, truncate: bool) -> list[tuple[str, ...]]:
    kept = [m for m in summary.get("Manifests") or () if m.get("Kind") == "image"]
    here = [manifest for manifest in kept if manifest.get("Available")]
    used = any(_users(manifest) for manifest in here)
    content = sum(manifest["Size"]["Content"] for manifest in here)
    total = sum(manifest["Size"]["Total"] for manifest in here)
    names = summary.get("RepoTags") or [_UNTAGGED]
    numbers = (
        _id(summary["Id"], truncate=truncate),
        units.human_size(total or summary["Size"], precision=3),
        units.human_size(content, precision=3),
        "U" if used else "",
    )
    rows: list[tuple[str, ...]] = [(name, *numbers) for name in names]
    for manifest in here:
        branch = "└─" if manifest is here[-1] else "├─"
        rows.append((f"{branch} {_platform(manifest)}", *_numbers(manifest, truncate=truncate)))
    return rows


def _numbers(manifest: Json, *, truncate: bool) -> tuple[str, str, str, str]:
    size = manifest["Size"]
    return (
        _id(manifest["ID"], truncate=truncate),
        units.human_size(size["Total"], precision=3),
        units.human_size(size["Content"], precision=3),
        "U" if _users(manifest) else "",
    )


def _id(digest: str, *, truncate: bool) -> str:
    return short_id(digest) if truncate else digest


def _users(manifest: Json) -> list[str]:
    return list((manifest.get("ImageData") or {}).get("Containers") or ())


def _platform(manifest: Json) -> str:
    platform = (manifest.get("ImageData") or {}).get("Platform") or {}
    parts = (platform.get(name) for name in ("os", "architecture", "variant"))
    return "/".join(part for part in parts if part) or "<unknown>"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    """Return the table; sizes stand on the right as docker has them."""
    columns = list(zip(HEADINGS, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = []
    for row in (HEADINGS, *rows):
        cells = [
            cell.rjust(width) if index in {2, 3} else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_GAP.join(cells).rstrip())
    return "".join(f"{line}\n" for line in lines)
