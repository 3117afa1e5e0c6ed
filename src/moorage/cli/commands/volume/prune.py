"""``moor volume prune``."""

from __future__ import annotations

from moorage.cli import pruning
from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

ANONYMOUS_BY_DEFAULT = "1.42"  # API version whose daemons spare named volumes


def run(session: Session, values: Values, _: list[str]) -> None:
    """Remove unused volumes: anonymous ones, with --all named ones, too."""
    every = values.flag("all")
    spares_named = session.api.at_least(ANONYMOUS_BY_DEFAULT)
    if every and spares_named:
        if any(key == "all" for key, _ in values.many("filter")):
            raise CommandError("conflicting options: cannot specify both --all and --filter all=1")
        values.given.setdefault("filter", []).append(("all", "true"))
    warning = (
        "This will remove anonymous local volumes not used by at least one container."
        if spares_named and not every
        else "This will remove all local volumes not used by at least one container."
    )
    if not pruning.allowed(session, values, warning):
        return
    answer = session.api.post("/volumes/prune", filters=pruning.filters(session, values))
    pruning.deleted(session, "Deleted Volumes", answer.get("VolumesDeleted") or [])
    pruning.reclaimed(session, answer.get("SpaceReclaimed") or 0)


COMMAND = Command(
    run,
    options=(
        Option("all", "a", "bool", "Remove named volumes, too"),
        pruning.filter_option("label=<label>"),
        pruning.FORCE_OPTION,
    ),
)
