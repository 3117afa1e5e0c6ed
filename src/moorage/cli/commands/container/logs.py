"""``moor logs``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.client.stdcopy import STDERR, Demultiplexer, FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Print what a container wrote, standard error to standard error."""
    name = arguments[0]
    record = session.api.get(f"/containers/{name}/json")
    since, until = values.text("since"), values.text("until")
    if since or until:
        from moorage.cli import timestamps

        since = timestamps.parse(since, "since")
        until = timestamps.parse(until, "until")
    follow = values.flag("follow")
    response = session.api.request(
        "GET",
        f"/containers/{record['Id']}/logs",
        {
            "stdout": True,
            "stderr": True,
            "since": since or None,
            "until": until or None,
            "timestamps": values.flag("timestamps") or None,
            "follow": follow or None,
            "details": values.flag("details") or None,
            "tail": values.text("tail"),
        },
    )
    if record["Config"]["Tty"]:
        for chunk in response.chunks():
            session.out.write_bytes(chunk)
            if follow:
                session.out.flush()
        return
    demultiplexer = Demultiplexer()
    stream = 0
    try:
        for chunk in response.chunks():
            for where, payload in demultiplexer.feed(chunk):
                if where != stream:  # keep the order where both lead to the same file
                    session.out.flush()
                    session.err.flush()
                    stream = where
                (session.err if where == STDERR else session.out).write_bytes(payload)
            if follow:
                session.out.flush()
                session.err.flush()
    except FrameError as e:
        raise CommandError(str(e)) from e


COMMAND = Command(
    run,
    arguments="CONTAINER",
    least=1,
    most=1,
    complete="containers",
    options=(
        Option("details", "", "bool", "Show the log driver's extra attributes"),
        Option("follow", "f", "bool", "Go on as the container writes"),
        Option("since", "", "string", 'Start at a time ("2013-01-02T13:23:37Z") or an age ("42m")'),
        Option("tail", "n", "string", "Number of last lines to show", "all"),
        Option("timestamps", "t", "bool", "Show when each line was written"),
        Option("until", "", "string", 'End at a time ("2013-01-02T13:23:37Z") or an age ("42m")'),
    ),
)
