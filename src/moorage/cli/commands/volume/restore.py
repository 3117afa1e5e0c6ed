"""``moor volume restore``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.saving import file_chunks, open_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Fill a volume from an archive; one that does not exist is made."""
    name, source = arguments[0], values.text("input")
    if not source and session.stdin_is_terminal:
        raise CommandError("requested restore from stdin, but stdin is empty: use -i or redirect")
    if source:
        import os

        os.close(open_source(source))
    response = session.api.request(
        "PUT",
        f"/volumes/{name}/archive",
        {"create": "1"},
        body=file_chunks(source),
        headers={"Content-Type": "application/x-tar"},
    )
    response.read()
    session.out.line(name)


COMMAND = Command(
    run,
    arguments="VOLUME",
    least=1,
    most=1,
    complete="volumes",
    options=(Option("input", "i", "string", "Read from a file", choices="files"),),
)
