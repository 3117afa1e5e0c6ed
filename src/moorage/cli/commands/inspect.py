"""``moor inspect``: objects of any kind, tried in docker's order."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command, Option
from moorage.lib.errors import InvalidParameter, MoorageError, NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
    "service": "/services/{}",
    "task": "/tasks/{}",
    "node": "/nodes/{}",
    "plugin": "/plugins/{}/json",
    "secret": "/secrets/{}",
    "config": "/configs/{}",
}
_SWARM = frozenset({"service", "task", "node", "secret", "config"})


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show objects as the daemon describes them."""
    from moorage.client.api import WITH_OLD_FIELDS

    kind = values.text("type")
    if values.changed("type") and kind not in PATHS:
        known = ", ".join(f'"{name}"' for name in sorted(PATHS))
        found = f'unknown type: "{kind}"' if kind else "type is empty"
        raise CommandError(f"{found}: must be one of {known}")
    if values.flag("size") and kind not in {"", "container"}:
        raise CommandError(f'"--size" is not supported for type "{kind}"')
    size = values.flag("size") or None
    kinds = [kind] if kind else list(PATHS)

    def fetch(name: str) -> str:
        for candidate in kinds:
            query = {"size": size} if candidate == "container" else {}
            try:
                path = PATHS[candidate].format(name)
                text = session.api.get_raw(path, WITH_OLD_FIELDS, **query).decode()
            except MoorageError as e:
                if kind or not _may_be_another_kind(candidate, e):
                    raise
                continue
            if size and candidate != "container":
                session.err.line(f"WARNING: --size ignored for {candidate}")
            return text
        raise _NoSuchObject(f"Error: No such object: {name}")

    return inspect(session, names, values.text("format"), fetch)


def _may_be_another_kind(kind: str, error: MoorageError) -> bool:
    """Tell whether to look on: there is no such object, or no swarm to ask for it."""
    no_swarm = kind in _SWARM and isinstance(error, Unavailable | InvalidParameter)
    return isinstance(error, NotFound) or no_swarm


class _NoSuchObject(MoorageError):
    """Nothing of any kind has that name."""


COMMAND = Command(
    run,
    arguments="NAME|ID [NAME|ID...]",
    least=1,
    most=None,
    complete="objects",
    options=(
        FORMAT_OPTION,
        Option("size", "s", "bool", "Show file sizes of containers"),
        Option("type", "", "string", "Look for this kind of object only", choices=" ".join(PATHS)),
    ),
)
