"""``moor network disconnect``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Take a container off a network."""
    network, container = arguments
    body = {"Container": container, "Force": values.flag("force")}
    session.api.post(f"/networks/{network}/disconnect", body)


COMMAND = Command(
    run,
    arguments="NETWORK CONTAINER",
    least=2,
    most=2,
    complete="networks containers",
    options=(Option("force", "f", "bool", "Disconnect whatever state the container is in"),),
)
