"""``moor image prune``."""

from __future__ import annotations

from moorage.cli import pruning
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """Remove dangling images, or all that no container uses."""
    every = values.flag("all")
    warning = (
        "This will remove all images without at least one container associated to them."
        if every
        else "This will remove all dangling images."
    )
    if not pruning.allowed(session, values, warning):
        return
    values.given.setdefault("filter", []).append(("dangling", "false" if every else "true"))
    answer = session.api.post("/images/prune", filters=pruning.filters(session, values))
    changes = answer.get("ImagesDeleted") or []
    lines = [
        f"untagged: {change['Untagged']}"
        if change.get("Untagged")
        else f"deleted: {change['Deleted']}"
        for change in changes
    ]
    pruning.deleted(session, "Deleted Images", lines)
    pruning.reclaimed(session, answer.get("SpaceReclaimed") or 0)


COMMAND = Command(
    run,
    options=(
        Option("all", "a", "bool", "Remove all unused images, not only dangling ones"),
        pruning.filter_option("until=24h"),
        pruning.FORCE_OPTION,
    ),
)
