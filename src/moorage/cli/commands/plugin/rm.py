"""``moor plugin rm``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, values: Values, names: list[str]) -> int:
    """Remove plugins."""

    def remove(api: Api, name: str) -> str:
        api.delete(f"/plugins/{name}", force=values.flag("force") or None)
        return name

    return session.each(names, remove)


COMMAND = Command(
    run,
    arguments="PLUGIN [PLUGIN...]",
    least=1,
    most=None,
    complete="plugins",
    options=(Option("force", "f", "bool", "Even a plugin that is enabled"),),
)
