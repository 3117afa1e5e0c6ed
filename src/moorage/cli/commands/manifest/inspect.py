"""``moor manifest inspect``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Print a manifest of a local list, a local list, or what a registry has of that name."""
    from moorage.cli.commands.manifest.showing import show

    show(session, values, arguments)


COMMAND = Command(
    run,
    arguments="[MANIFEST_LIST] MANIFEST",
    least=1,
    most=2,
    complete="images",
    options=(
        Option("insecure", "", "bool", "Allow a registry without TLS"),
        Option("verbose", "v", "bool", "Show descriptors and platforms, too"),
    ),
)
