"""``moor manifest push``."""

from __future__ import annotations

from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Push a list, with those of its manifests that are in other repositories of the registry."""
    from moorage.cli.commands.manifest.pushing import push

    push(session, values, arguments)


COMMAND = Command(
    run,
    arguments="MANIFEST_LIST",
    least=1,
    most=1,
    complete="images",
    options=(
        Option("insecure", "", "bool", "Allow a registry without TLS"),
        Option("purge", "p", "bool", "Remove the list from this machine afterwards"),
    ),
)
