"""What all ``prune`` commands share: the warning, the question, and the sum."""

from __future__ import annotations

from moorage.cli.options import Option
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

FORCE_OPTION = Option("force", "f", "bool", "Do not ask")


def allowed(session: Session, values: Values, warning: str) -> bool:
    """Ask unless --force was given."""
    if values.flag("force"):
        return True
    return session.confirm(f"WARNING! {warning}\nAre you sure you want to continue?")


def filters(session: Session, values: Values) -> str | None:
    """Return what ``--filter`` and the configuration's ``pruneFilters`` leave to be removed.

    A label on the command line counts more than its opposite in the configuration.
    """
    asked = values.given.get("filter") or []
    given = list(asked)
    for text in session.config.values.get("pruneFilters") or ():
        key, _, value = str(text).partition("=")
        opposite = {"label": "label!", "label!": "label"}.get(key)
        if value and (opposite, value) not in asked:
            given.append((key, value))
    if given:
        values.given["filter"] = given
    return values.filters()


def filter_option(example: str) -> Option:
    """Return the --filter flag of a prune command."""
    return Option("filter", "", "filter", f'Remove only what matches (e.g. "{example}")')


def deleted(session: Session, heading: str, names: list[str]) -> None:
    """List what is gone."""
    if names:
        session.out.write(f"{heading}:\n" + "".join(f"{name}\n" for name in names) + "\n")


def reclaimed(session: Session, size: int) -> None:
    """Print the sum."""
    session.out.line(f"Total reclaimed space: {units.human_size(size)}")
