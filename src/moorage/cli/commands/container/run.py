"""``moor run``: create, attach, start, carry the streams, leave with the container's status."""

from __future__ import annotations

from moorage.cli.commands.container import create_body, creating
from moorage.cli.commands.container.create_options import OPTIONS
from moorage.cli.failure import CommandError, ForcedEnd
from moorage.cli.interactive import (
    DETACH_KEYS_HELP,
    Terminal,
    check_terminal,
    detach_keys_text,
)
from moorage.cli.options import Command, Option
from moorage.cli.refusals import refuse_windows
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.http import Response, Wire
    from moorage.client.jsonwire import Json

DAEMON_FAILED, CANNOT_INVOKE, NOT_FOUND = 125, 126, 127
_NOT_FOUND_WORDS = ("executable file not found", "no such file or directory", "system cannot find")
_CANNOT_INVOKE_WORDS = ("permission denied", "is a directory")


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Run a container; 125 is the daemon's failure, 126 and 127 the command's."""
    detach = values.flag("detach")
    refuse_windows(values)
    if detach and values.many("attach"):
        raise CommandError("conflicting options: cannot specify both --attach and --detach")
    try:
        request = create_body.build(session, values, arguments, detach=detach)
        body = request.body
        check_terminal(session, stdin=body["AttachStdin"], tty=body["Tty"])
    except CommandError as e:
        if e.message == "the input device is not a TTY":
            raise
        raise CommandError(_worded(session, e.message), DAEMON_FAILED) from e
    try:
        identifier = creating.create(session, values, request)
        if detach:
            session.api.post(f"/containers/{identifier}/start")
            session.out.line(identifier)
            return 0
        return _attached(session, values, identifier, body)
    except ForcedEnd:
        raise
    except CommandError as e:
        raise CommandError(_worded(session, e.message), DAEMON_FAILED) from e
    except MoorageError as e:
        status = DAEMON_FAILED
        message = str(e)
        if any(words in message for words in _NOT_FOUND_WORDS):
            status = NOT_FOUND
        elif any(words in message for words in _CANNOT_INVOKE_WORDS):
            status = CANNOT_INVOKE
        raise CommandError(_worded(session, message), status) from e


def _worded(session: Session, message: str) -> str:
    return f"moor: {message}\n\nRun '{session.typed} --help' for more information"


def _attached(session: Session, values: Values, identifier: str, body: Json) -> int:
    path = f"/containers/{identifier}"
    wanted = {name: body[f"Attach{name.title()}"] for name in ("stdin", "stdout", "stderr")}
    keys = detach_keys_text(session, values)
    terminal = Terminal(
        session,
        tty=body["Tty"],
        stdin=wanted["stdin"],
        resize_path=f"{path}/resize",
        kill_path=f"{path}/kill" if values.flag("sig-proxy") else "",
        detach_keys=keys,
    )
    wire: Wire | None = None
    if any(wanted.values()):
        query = {name: True for name, asked in wanted.items() if asked}
        wire = session.api.hijack(
            f"{path}/attach", {"stream": True, **query, "detachKeys": keys or None}
        )
    removed = body["HostConfig"]["AutoRemove"]
    waiting = _wait(session, path, removed=removed)
    try:
        session.api.post(f"{path}/start")
    except MoorageError:
        if removed:
            waiting.read()  # nothing must be left behind when the command returns
        raise
    terminal.resize()
    if wire is not None and terminal.carry(wire):
        return 0
    return exit_status(session, waiting)


def _wait(session: Session, path: str, *, removed: bool) -> Response:
    """Register for the end of the container before it starts."""
    return session.another_api().request(
        "POST", f"{path}/wait", {"condition": "removed" if removed else "next-exit"}
    )


def exit_status(session: Session, waiting: Response) -> int:
    """Return the container's exit status once it has one."""
    from moorage.client import jsonwire

    answer = jsonwire.decode(waiting.read())
    if error := (answer.get("Error") or {}).get("Message"):
        session.err.line(f"Error waiting for container: {error}")
        return DAEMON_FAILED
    return int(answer["StatusCode"])


COMMAND = Command(
    run,
    arguments="IMAGE [COMMAND] [ARG...]",
    least=1,
    most=None,
    interspersed=False,
    complete="images",
    options=(
        *OPTIONS,
        Option("detach", "d", "bool", "Leave the container in the background and print its ID"),
        Option("detach-keys", "", "string", DETACH_KEYS_HELP),
        Option("sig-proxy", "", "bool", "Pass signals on to the process", True),  # noqa: FBT003
    ),
)
