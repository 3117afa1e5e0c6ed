"""``moor import``."""

from __future__ import annotations

from moorage.cli.options import Command, Option
from moorage.cli.progress import Display
from moorage.cli.references import split_new_tag
from moorage.cli.saving import file_chunks, open_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make an image from a file, standard input, or an address the daemon fetches."""
    source = arguments[0]
    repository, tag = split_new_tag(arguments[1]) if len(arguments) > 1 else ("", "")
    remote = source.startswith(("http://", "https://"))
    if not remote and source != "-":
        import os

        os.close(open_source(source))
    response = session.api.request(
        "POST",
        "/images/create",
        {
            "fromSrc": source if remote else "-",
            "repo": repository or None,
            "tag": tag or None,
            "message": values.text("message") or None,
            "changes": values.many("change"),
            "platform": values.text("platform") or None,
        },
        body=None if remote else file_chunks(source),
        headers={"Content-Type": "text/plain"},
    )
    Display(session.out).run(session.api.stream_json(response))


COMMAND = Command(
    run,
    arguments="file|URL|- [REPOSITORY[:TAG]]",
    least=1,
    most=None,
    complete="files",
    options=(
        Option("change", "c", "list", "Apply a Dockerfile instruction to the image"),
        Option("message", "m", "string", "Commit message"),
        Option("platform", "", "string", "Platform of the image, such as linux/arm64"),
    ),
)
