"""``moor attach``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.interactive import (
    DETACH_KEYS_HELP,
    Terminal,
    check_terminal,
    detach_keys_text,
)
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Join a running container's streams and leave with its status."""
    from moorage.cli.commands.container.run import exit_status

    path = f"/containers/{arguments[0]}"
    record = session.api.get(f"{path}/json")
    check_running(record)
    tty = record["Config"]["Tty"]
    stdin = record["Config"]["OpenStdin"] and not values.flag("no-stdin")
    check_terminal(session, stdin=stdin, tty=tty)
    keys = detach_keys_text(session, values)
    terminal = Terminal(
        session,
        tty=tty,
        stdin=stdin,
        resize_path=f"{path}/resize",
        kill_path=f"{path}/kill" if values.flag("sig-proxy") and not tty else "",
        detach_keys=keys,
    )
    waiting = session.another_api().request("POST", f"{path}/wait", {})
    wire = session.api.hijack(
        f"{path}/attach",
        {
            "stream": True,
            "stdin": stdin or None,
            "stdout": True,
            "stderr": True,
            "detachKeys": keys or None,
        },
    )
    terminal.redraw()
    if terminal.carry(wire):
        raise CommandError("read escape sequence")
    return exit_status(session, waiting)


def check_running(record: Json) -> None:
    """Refuse what cannot be attached to.

    Raises: CommandError.
    """
    state = record["State"]
    if not state["Running"]:
        raise CommandError("cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise CommandError("cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise CommandError("cannot attach to a restarting container, wait until it is running")


COMMAND = Command(
    run,
    arguments="CONTAINER",
    least=1,
    most=1,
    complete="running",
    options=(
        Option("detach-keys", "", "string", DETACH_KEYS_HELP),
        Option("no-stdin", "", "bool", "Do not attach standard input"),
        Option("sig-proxy", "", "bool", "Pass signals on to the process", True),  # noqa: FBT003
    ),
)
