"""``moor start``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.interactive import DETACH_KEYS_HELP, Terminal, detach_keys_text
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api


def run(session: Session, values: Values, names: list[str]) -> int:
    """Start containers; with -a or -i one, with its streams."""
    if values.flag("attach") or values.flag("interactive"):
        if len(names) > 1:
            raise CommandError("you cannot start and attach multiple containers at once")
        return _attached(session, values, names[0])
    query = {
        "checkpoint": values.text("checkpoint") or None,
        "checkpoint-dir": values.text("checkpoint-dir") or None,
    }

    def start(api: Api, name: str) -> str:
        api.post(f"/containers/{name}/start", **query)
        return name

    if status := session.each(names, start):
        named = ", ".join(names)
        session.err.line(f"Error: failed to start containers: {named}")
        return status
    return 0


def _attached(session: Session, values: Values, name: str) -> int:
    from moorage.cli.commands.container.run import exit_status

    record = session.api.get(f"/containers/{name}/json")
    path, tty = f"/containers/{record['Id']}", record["Config"]["Tty"]
    stdin = values.flag("interactive") and record["Config"]["OpenStdin"]
    keys = detach_keys_text(session, values)
    terminal = Terminal(
        session,
        tty=tty,
        stdin=stdin,
        resize_path=f"{path}/resize",
        kill_path="" if tty else f"{path}/kill",
        detach_keys=keys,
    )
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
    removed = record["HostConfig"].get("AutoRemove")
    condition = "removed" if removed else "next-exit"
    waiting = session.another_api().request("POST", f"{path}/wait", {"condition": condition})
    session.api.post(f"{path}/start")
    terminal.resize()
    if terminal.carry(wire):
        return 0
    return exit_status(session, waiting)


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="containers",
    options=(
        Option("attach", "a", "bool", "Attach to the output, and pass signals on"),
        Option("checkpoint", "", "string", "Restore from this checkpoint", hidden=True),
        Option("checkpoint-dir", "", "string", "Where checkpoints lie", hidden=True),
        Option("detach-keys", "", "string", DETACH_KEYS_HELP),
        Option("interactive", "i", "bool", "Attach to standard input"),
    ),
)
