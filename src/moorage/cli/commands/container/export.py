"""``moor export``."""

from __future__ import annotations

from moorage.cli.options import Command, Option
from moorage.cli.saving import save_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Write a container's file system as a tar archive."""
    save_body(
        session,
        f"/containers/{arguments[0]}/export",
        {},
        values.text("output"),
        "failed to export container",
    )


COMMAND = Command(
    run,
    arguments="CONTAINER",
    least=1,
    most=1,
    complete="containers",
    options=(Option("output", "o", "string", "Write to a file", choices="files"),),
)
