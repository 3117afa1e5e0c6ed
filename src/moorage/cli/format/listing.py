"""Print rows: the default table, a ``--format`` template, or JSON lines.

The default table is drawn from the columns directly; the template engine is loaded only for a
template.
"""

from __future__ import annotations

from moorage.cli.format import tabwriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.cli.row import Row
    from moorage.cli.session import Session


class Table:
    """How a kind of object is listed: the default columns, and every column's heading.

    *raw* are the names and columns of ``--format raw``.
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        headings: dict[str, str],
        raw: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.columns = columns
        self.headings = headings
        self.raw = raw


def show(session: Session, rows: Sequence[Row], table: Table, format_: str) -> None:
    """Print *rows*; an empty format is the default table."""
    if format_ in {"", "table"}:
        _default_table(session, rows, table)
    else:
        session.out.write(render(rows, table, format_))


def render(rows: Sequence[Row], table: Table, format_: str) -> str:
    """Return *rows* in a format that was given.

    Raises: CommandError (a template that does not parse, or does not fit).
    """
    if format_ == "json":
        from moorage.cli.template.values import to_json

        return "".join(to_json(row) + "\n" for row in rows)
    from moorage.cli.format import plainfields

    if format_ != "raw" and (drawn := plainfields.render(rows, table, format_)) is not None:
        return drawn
    from moorage.cli.format import templated

    return templated.render(rows, table, format_)


def quiet_or(
    session: Session, values: list[str], table: Table, format_: str, *, quiet: bool
) -> bool:
    """Print identifiers alone if *quiet*; tell whether that was done.

    A template or ``json`` counts more than --quiet.
    """
    if not quiet or format_ not in {"", "table", "raw"}:
        return False
    label = ""
    if format_ == "raw" and table.raw:
        label = next(f"{label}: " for label, column in table.raw if column in {"ID", "Name"})
    session.out.write("".join(f"{label}{value}\n" for value in values))
    return True


def _default_table(session: Session, rows: Sequence[Row], table: Table) -> None:
    lines = ["\t".join(table.headings[name] for name in table.columns)]
    lines += ["\t".join([str(row.columns[name](row)) for name in table.columns]) for row in rows]
    session.out.write(tabwriter.align(lines))
