"""``moor rm``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.lib.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, values: Values, names: list[str]) -> int:
    """Remove every container named; with --force one that is gone already is no failure."""
    force = values.flag("force")
    query = {"v": "volumes", "link": "link", "force": "force"}
    flags = {key: values.flag(name) or None for key, name in query.items()}

    def remove(api: Api, name: str) -> str | None:
        trimmed = name.strip("/")
        if not trimmed:
            raise CommandError("Container name cannot be empty")
        try:
            api.delete(f"/containers/{trimmed}", **flags)
        except NotFound as e:
            if not force:
                raise
            session.err.line(str(e))
            return None
        return name

    return session.each_at_once(names, remove)


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="containers",
    options=(
        Option("force", "f", "bool", "Remove a running container, too (with SIGKILL)"),
        Option("link", "l", "bool", "Remove the link, not the container"),
        Option("volumes", "v", "bool", "Remove the container's anonymous volumes, too"),
    ),
)
