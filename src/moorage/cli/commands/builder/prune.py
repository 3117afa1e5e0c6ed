"""``moor builder prune``."""

from __future__ import annotations

from moorage.cli import pruning
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """Remove build cache that nothing uses."""
    every = values.flag("all")
    warning = f"This will remove all {'' if every else 'dangling '}build cache."
    if not pruning.allowed(session, values, warning):
        return
    keep = values.optional_number("keep-storage")
    answer = session.api.post(
        "/build/prune",
        **{"all": every or None, "keep-storage": keep, "filters": pruning.filters(session, values)},
    )
    pruning.deleted(session, "Deleted build cache objects", answer.get("CachesDeleted") or [])
    pruning.reclaimed(session, answer.get("SpaceReclaimed") or 0)


COMMAND = Command(
    run,
    options=(
        Option("all", "a", "bool", "Remove all unused cache, not only dangling records"),
        pruning.filter_option("until=24h"),
        pruning.FORCE_OPTION,
        Option("keep-storage", "", "bytes", "Space the cache may keep"),
    ),
)
