"""``moor plugin inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show plugins as the daemon describes them."""

    def fetch(name: str) -> str:
        return session.api.get_raw(f"/plugins/{name}/json").decode()

    return inspect(session, names, values.text("format"), fetch)


COMMAND = Command(
    run,
    arguments="PLUGIN [PLUGIN...]",
    least=1,
    most=None,
    complete="plugins",
    options=(FORMAT_OPTION,),
)
