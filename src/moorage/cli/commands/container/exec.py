"""``moor exec``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.interactive import (
    DETACH_KEYS_HELP,
    Terminal,
    check_terminal,
    detach_keys_text,
)
from moorage.cli.options import Command, Option
from moorage.cli.specs import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Run a command in a container and leave with its status."""
    container, *command = arguments
    body = _body(session, values, command)
    detach, tty = values.flag("detach"), body["Tty"]
    check_terminal(session, stdin=body["AttachStdin"], tty=tty)
    identifier = session.api.post(f"/containers/{container}/exec", body)["Id"]
    path = f"/exec/{identifier}"
    start: Json = {"Detach": detach, "Tty": tty}
    if "ConsoleSize" in body:
        start["ConsoleSize"] = body["ConsoleSize"]
    if detach:
        session.api.post(f"{path}/start", start)
        return 0
    terminal = Terminal(
        session,
        tty=tty,
        stdin=body["AttachStdin"],
        resize_path=f"{path}/resize",
        detach_keys=body["DetachKeys"],
    )
    wire = session.api.hijack(f"{path}/start", {}, start)
    terminal.resize()
    if terminal.carry(wire):
        raise CommandError("read escape sequence")
    return int(session.api.get(f"{path}/json")["ExitCode"] or 0)


def _body(session: Session, values: Values, command: list[str]) -> Json:
    detach = values.flag("detach")
    try:
        variables = [
            line
            for path in values.many("env-file")
            for line in environment.file_lines(path, session.environ)
        ]
        variables += [environment.variable(spec, session.environ) for spec in values.many("env")]
    except ValueError as e:
        raise CommandError(str(e)) from e
    body: Json = {
        "User": values.text("user"),
        "Privileged": values.flag("privileged"),
        "Tty": values.flag("tty"),
        "AttachStdin": values.flag("interactive") and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
        "DetachKeys": detach_keys_text(session, values),
        "Env": variables,
        "WorkingDir": values.text("workdir"),
        "Cmd": command,
    }
    if body["Tty"] and session.out.is_terminal:
        from moorage.cli import terminal

        if size := terminal.size(1):
            body["ConsoleSize"] = list(size)
    return body


COMMAND = Command(
    run,
    arguments="CONTAINER COMMAND [ARG...]",
    least=2,
    most=None,
    interspersed=False,
    complete="running",
    options=(
        Option("detach", "d", "bool", "Run the command in the background"),
        Option("detach-keys", "", "string", DETACH_KEYS_HELP),
        Option("env", "e", "list", "Set an environment variable", check=environment.check_variable),
        Option("env-file", "", "list", "Read environment variables from a file", choices="files"),
        Option("interactive", "i", "bool", "Keep standard input open"),
        Option("privileged", "", "bool", "Give the command all rights"),
        Option("tty", "t", "bool", "Give the command a terminal"),
        Option("user", "u", "string", "User to run as (<name|uid>[:<group|gid>])"),
        Option("workdir", "w", "string", "Directory to start in"),
    ),
)
