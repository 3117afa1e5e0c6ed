"""``moor images``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.format.images import DIGEST_TABLE, TABLE, rows
from moorage.cli.format.listing import quiet_or, show
from moorage.cli.options import FORMAT_HELP, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """List images, or those of one repository."""
    if arguments:
        values.given.setdefault("filter", []).append(("reference", arguments[0]))
    if values.flag("tree"):
        _show_tree(session, values)
        return
    format_ = values.text("format")
    quiet = values.flag("quiet")
    if not format_ and not quiet:
        format_ = session.config.text("imagesFormat")
    digests = values.flag("digests") or ".Digest" in format_
    found = session.api.get(
        "/images/json", all=values.flag("all") or None, filters=values.filters()
    )
    if not values.flag("all"):
        found = [summary for summary in found if summary.get("RepoTags")]
    found.sort(key=lambda summary: summary["Created"], reverse=True)
    listed = rows(found, truncate=not values.flag("no-trunc"), digests=digests)
    identifiers = [row.identifier() for row in listed]
    if quiet_or(session, identifiers, TABLE, format_, quiet=quiet):
        return
    show(session, listed, DIGEST_TABLE if values.flag("digests") else TABLE, format_)


def _show_tree(session: Session, values: Values) -> None:
    """Show the platforms of each image."""
    from moorage.cli.format.imagetree import tree

    for other in ("quiet", "digests", "format"):
        if values.changed(other):
            raise CommandError(f"--{other} is not yet supported with --tree")
    found = session.api.get(
        "/images/json", all=values.flag("all") or None, filters=values.filters(), manifests=True
    )
    if not values.flag("all"):
        found = [summary for summary in found if summary.get("RepoTags")]
    found.sort(key=lambda summary: summary["Created"], reverse=True)
    session.out.write(tree(found, truncate=not values.flag("no-trunc")))


COMMAND = Command(
    run,
    arguments="[REPOSITORY[:TAG]]",
    most=1,
    complete="images",
    options=(
        Option("all", "a", "bool", "Show intermediate images, too"),
        Option("digests", "", "bool", "Show digests"),
        Option("filter", "f", "filter", "Show only images that match", choices="filters:images"),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-trunc", "", "bool", "Show everything in full length"),
        Option("quiet", "q", "bool", "Print IDs only"),
        Option("tree", "", "bool", "Show the platforms of each image"),
    ),
)
