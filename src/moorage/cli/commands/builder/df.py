"""``moor builder df``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """List the records of the build cache."""
    from moorage.lib import units

    usage = session.api.get("/build/usage")
    items = usage.get("Items") or []
    line = session.out.line
    if not values.flag("summary"):
        line(f"{'ID':<27}{'TYPE':<22}{'RECLAIMABLE':<13}{'SIZE':<10}{'USED':<6}DESCRIPTION")
        for item in sorted(items, key=lambda item: -int(item.get("Size", 0))):
            free = str(not item.get("InUse") and not item.get("Shared")).lower()
            size = units.human_size(item.get("Size", 0))
            line(
                f"{item['ID']:<27}{item.get('Type', ''):<22}{free:<13}{size:<10}"
                f"{item.get('UsageCount', 0):<6}{item.get('Description', '')}"
            )
    line(f"Reclaimable:\t{units.human_size(usage.get('Reclaimable', 0))}")
    line(f"Total:\t\t{units.human_size(usage.get('TotalSize', 0))}")


COMMAND = Command(run, options=(Option("summary", "", "bool", "Show only the sums"),))
