"""``moor container prune``."""

from __future__ import annotations

from moorage.cli import pruning
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """Remove stopped containers."""
    if not pruning.allowed(session, values, "This will remove all stopped containers."):
        return
    answer = session.api.post("/containers/prune", filters=pruning.filters(session, values))
    pruning.deleted(session, "Deleted Containers", answer.get("ContainersDeleted") or [])
    pruning.reclaimed(session, answer.get("SpaceReclaimed") or 0)


COMMAND = Command(run, options=(pruning.filter_option("until=24h"), pruning.FORCE_OPTION))
