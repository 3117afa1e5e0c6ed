"""``moor inspect``: objects of any kind, tried in docker's order."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command, Option
from moorage.cli.session import CommandError
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
    kind = values.text("type")
    if kind and kind not in PATHS:
        known = ", ".join(f'"{name}"' for name in sorted(PATHS))
        raise CommandError(f'unknown type: "{kind}": must be one of {known}')
    if values.changed("type") and not kind:
        raise CommandError("type is empty: must be one of " + ", ".join(sorted(PATHS)))
    if values.flag("size") and kind and kind != "container":
        raise CommandError(f'"--size" is not supported for type "{kind}"')
    size = values.flag("size") or None

    def fetch(name: str) -> str:
        for candidate, path in PATHS.items():
            if kind and candidate != kind:
                continue
            query = {"size": size} if candidate == "container" else {}
            try:
                return session.api.get_raw(path.format(name), **query).decode()
            except NotFound as e:
                if kind:
                    raise
                del e
            except (Unavailable, InvalidParameter):
                if kind or candidate not in _SWARM:
                    raise
        raise _NoSuchObject(f"Error: No such object: {name}")

    return inspect(session, names, values.text("format"), fetch)


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
