"""``moor volume inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show volumes as the daemon describes them."""

    def fetch(name: str) -> str:
        return session.api.get_raw(f"/volumes/{name}").decode()

    return inspect(session, names, values.text("format"), fetch)


COMMAND = Command(
    run,
    arguments="VOLUME [VOLUME...]",
    least=1,
    most=None,
    complete="volumes",
    options=(FORMAT_OPTION,),
)
