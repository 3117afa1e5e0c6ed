"""``moor container inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show containers as the daemon describes them."""
    from moorage.client.api import WITH_OLD_FIELDS

    size = values.flag("size") or None

    def fetch(name: str) -> str:
        return session.api.get_raw(f"/containers/{name}/json", WITH_OLD_FIELDS, size=size).decode()

    return inspect(session, names, values.text("format"), fetch)


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="containers",
    options=(FORMAT_OPTION, Option("size", "s", "bool", "Show file sizes")),
)
