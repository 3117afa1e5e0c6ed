"""``moor load``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.progress import Display
from moorage.cli.references import platform_json
from moorage.cli.saving import file_chunks, open_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """Read images from an archive."""
    source = values.text("input")
    if not source and session.stdin_is_terminal:
        raise CommandError("requested load from stdin, but stdin is empty")
    if source:
        import os

        os.close(open_source(source))  # refuse a missing file before anything is sent
    quiet = values.flag("quiet") or not session.out.is_terminal
    response = session.api.request(
        "POST",
        "/images/load",
        {"quiet": quiet, "platform": platform_json(values.text("platform"))},
        body=file_chunks(source),
        headers={"Content-Type": "application/x-tar"},
    )
    if "json" in response.headers.get("content-type", ""):
        Display(session.out).run(session.api.stream_json(response))
        return
    for chunk in response.chunks():
        session.out.write_bytes(chunk)


COMMAND = Command(
    run,
    options=(
        Option("input", "i", "string", "Read from a file", choices="files"),
        Option("platform", "", "string", "Load only this platform, such as linux/arm64"),
        Option("quiet", "q", "bool", "Do not show progress"),
    ),
)
