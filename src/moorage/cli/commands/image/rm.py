"""``moor rmi``."""

from __future__ import annotations

from moorage.cli.options import Command, Option
from moorage.cli.references import platform_json
from moorage.lib.errors import MoorageError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> int:
    """Remove names, and images that have none left; with --force a missing one is no failure."""
    force = values.flag("force")
    platforms = [platform_json(text) for text in values.many("platform")]
    status = 0
    for name in names:
        try:
            changes = session.api.delete(
                f"/images/{name}",
                force=force or None,
                noprune=values.flag("no-prune") or None,
                platforms=platforms or None,
            )
        except MoorageError as e:
            session.err.line(str(e))
            if not (force and isinstance(e, NotFound)):
                status = 1
            continue
        for change in changes:
            if change.get("Deleted"):
                session.out.line(f"Deleted: {change['Deleted']}")
            else:
                session.out.line(f"Untagged: {change['Untagged']}")
    return status


COMMAND = Command(
    run,
    arguments="IMAGE [IMAGE...]",
    least=1,
    most=None,
    complete="images",
    options=(
        Option("force", "f", "bool", "Remove the image even if it has other names"),
        Option("no-prune", "", "bool", "Keep untagged parents"),
        Option("platform", "", "strings", "Remove only this platform, such as linux/arm64"),
    ),
)
