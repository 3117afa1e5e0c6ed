"""``moor top``."""

from __future__ import annotations

from moorage.cli.format import tabwriter
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

MINIMUM_WIDTH = 20


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Print ps's table of a container's processes."""
    name, *ps_arguments = arguments
    answer = session.api.get(
        f"/containers/{name}/top", ps_args=" ".join(ps_arguments) if ps_arguments else None
    )
    lines = ["\t".join(answer["Titles"])]
    lines += ["\t".join(process) for process in answer["Processes"] or ()]
    session.out.write(tabwriter.align(lines, MINIMUM_WIDTH))


COMMAND = Command(
    run,
    arguments="CONTAINER [ps OPTIONS]",
    least=1,
    most=None,
    interspersed=False,
    complete="running",
)
