"""``moor volume backup``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.cli.saving import save_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

BY_SUFFIX = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}
COMPRESSIONS = frozenset({"none", "gzip", "zstd"})


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Write a volume's content to a tar archive; the file's name chooses the compression."""
    output = values.text("output")
    compression = values.text("compress") or next(
        (kind for suffix, kind in BY_SUFFIX.items() if output.endswith(suffix)), "none"
    )
    if compression not in COMPRESSIONS:
        raise CommandError(f"invalid compression '{compression}': must be none, gzip or zstd")
    query: dict[str, object] = {"compression": None if compression == "none" else compression}
    save_body(
        session, f"/volumes/{arguments[0]}/archive", query, output, "failed to back up volume"
    )


COMMAND = Command(
    run,
    arguments="VOLUME",
    least=1,
    most=1,
    complete="volumes",
    options=(
        Option(
            "compress",
            "",
            "string",
            'Compression ("none", "gzip", "zstd")',
            choices="none gzip zstd",
        ),
        Option("output", "o", "string", "Write to a file", choices="files"),
    ),
)
