"""``moor network rm``."""

from __future__ import annotations

from moorage.cli.options import Command, Option
from moorage.lib.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, values: Values, names: list[str]) -> int:
    """Remove networks; with --force a missing one is no failure."""

    def remove(api: Api, name: str) -> str | None:
        try:
            api.delete(f"/networks/{name}")
        except NotFound:
            if not values.flag("force"):
                raise
            return None
        return name

    return session.each(names, remove)


COMMAND = Command(
    run,
    arguments="NETWORK [NETWORK...]",
    least=1,
    most=None,
    complete="networks",
    options=(Option("force", "f", "bool", "A network that does not exist is no failure"),),
)
