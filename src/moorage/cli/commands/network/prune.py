"""``moor network prune``."""

from __future__ import annotations

from moorage.cli import pruning
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """Remove unused networks."""
    warning = "This will remove all custom networks not used by at least one container."
    if not pruning.allowed(session, values, warning):
        return
    answer = session.api.post("/networks/prune", filters=pruning.filters(session, values))
    pruning.deleted(session, "Deleted Networks", answer.get("NetworksDeleted") or [])


COMMAND = Command(run, options=(pruning.filter_option("until=24h"), pruning.FORCE_OPTION))
