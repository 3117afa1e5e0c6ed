"""``moor volume create``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make a volume and print its name."""
    if arguments and values.text("name"):
        raise CommandError(
            "conflicting options: cannot specify a volume-name through both --name and as a "
            "positional arg"
        )
    body = {
        "Name": arguments[0] if arguments else values.text("name"),
        "Driver": values.text("driver"),
        "DriverOpts": values.pairs("opt"),
        "Labels": dict(label.partition("=")[::2] for label in values.many("label")),
    }
    session.out.line(session.api.post("/volumes/create", body)["Name"])


COMMAND = Command(
    run,
    arguments="[VOLUME]",
    most=1,
    options=(
        Option("driver", "d", "string", "Driver of the volume", "local"),
        Option("label", "", "list", "Set a label"),
        Option("name", "", "string", "Name of the volume", hidden=True),
        Option("opt", "o", "map", "Option of the driver"),
    ),
)
