"""``moor volume inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command
from moorage.client import jsonwire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

RARE = frozenset({"ClusterVolume", "Status", "UsageData"})


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show volumes as the daemon describes them."""

    def fetch(name: str) -> str:
        volume = session.api.get(f"/volumes/{name}")
        # docker shows the fields in this order, and those of clusters and plugins only if set
        shown = {
            key: value for key, value in volume.items() if value is not None or key not in RARE
        }
        return jsonwire.encode(shown, sort_keys=True)

    return inspect(session, names, values.text("format"), fetch)


COMMAND = Command(
    run,
    arguments="VOLUME [VOLUME...]",
    least=1,
    most=None,
    complete="volumes",
    options=(FORMAT_OPTION,),
)
