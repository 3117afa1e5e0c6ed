"""``moor ps``."""

from __future__ import annotations

from moorage.cli.failure import CommandError, TemplateError
from moorage.cli.format.containers import SIZED_TABLE, TABLE, ContainerRow
from moorage.cli.format.listing import quiet_or, show
from moorage.cli.options import FORMAT_HELP, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> None:
    """List containers."""
    format_, quiet = values.text("format"), values.flag("quiet")
    if quiet and format_:
        session.err.line(
            "WARNING: Ignoring custom format, because both --format and --quiet are set."
        )
        format_ = "raw" if format_ == "raw" else ""
    if not format_ and not quiet:
        format_ = session.config.text("psFormat")
    last = 1 if values.flag("latest") and values.number("last") < 0 else values.number("last")
    wants_size = values.flag("size") or (not values.changed("size") and _shows_size(format_))
    found = session.api.get(
        "/containers/json",
        all=values.flag("all") or None,
        limit=last if last > 0 else None,
        size=wants_size or None,
        filters=values.filters(),
    )
    rows = [ContainerRow(summary, truncate=not values.flag("no-trunc")) for summary in found]
    table = SIZED_TABLE if values.flag("size") else TABLE
    if quiet_or(session, [row.identifier() for row in rows], table, format_, quiet=quiet):
        return
    try:
        show(session, rows, table, format_)
    except TemplateError as e:
        step = "execute" if e.parsed else "parse"
        raise CommandError(f"failed to {step} template: {e.reason}") from e


def _shows_size(format_: str) -> bool:
    """Tell whether a template shows sizes: by name, or in a whole row as JSON."""
    packed = format_.replace(" ", "")
    return ".Size" in packed or "json.}" in packed or ".|json" in packed


COMMAND = Command(
    run,
    options=(
        Option("all", "a", "bool", "Show stopped containers, too"),
        Option("filter", "f", "filter", "Show only containers that match", choices="filters:ps"),
        Option("format", "", "string", FORMAT_HELP),
        Option("last", "n", "int", "Show the newest n containers, in any state", -1),
        Option("latest", "l", "bool", "Show the newest container, in any state"),
        Option("no-trunc", "", "bool", "Show everything in full length"),
        Option("quiet", "q", "bool", "Print IDs only"),
        Option("size", "s", "bool", "Show sizes"),
    ),
)
