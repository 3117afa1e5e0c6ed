"""``moor network inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show networks as the daemon describes them."""
    verbose = values.flag("verbose") or None

    def fetch(name: str) -> str:
        return session.api.get_raw(f"/networks/{name}", verbose=verbose).decode()

    return inspect(session, names, values.text("format"), fetch, frozenset({"Created"}))


COMMAND = Command(
    run,
    arguments="NETWORK [NETWORK...]",
    least=1,
    most=None,
    complete="networks",
    options=(FORMAT_OPTION, Option("verbose", "v", "bool", "Show what helps to diagnose")),
)
