"""Templates that name columns and nothing more: ``{{.ID}} {{.Names}}``.

Most templates are of this kind, and need no engine: loading it takes a tenth of the command.
"""

from __future__ import annotations

from moorage.cli.format import tabwriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moorage.cli.format.listing import Table
    from moorage.cli.row import Row


def render(rows: Sequence[Row], table: Table, format_: str) -> str | None:
    """Return *rows* as the engine would; None for a template that needs it."""
    is_table = format_.startswith("table")
    text = format_.removeprefix("table") if is_table else format_
    parts = _split(text.strip().replace("\\t", "\t").replace("\\n", "\n"))
    if parts is None:
        return None
    literals, names = parts
    values: list[Mapping[str, object]] = [table.headings] if is_table else []
    values += _columns(rows, names)
    filled = [_fill(literals, names, line) for line in values]
    if None in filled:
        return None
    body = "".join(f"{line}\n" for line in filled)
    return tabwriter.align(body.removesuffix("\n").split("\n")) if is_table else body


def _split(text: str) -> tuple[list[str], list[str]] | None:
    """Return what stands between the columns, and the columns' names."""
    first, *pieces = text.split("{{")
    literals, names = [first], []
    for piece in pieces:
        action, closed, literal = piece.partition("}}")
        name = action.strip(" ")
        if not closed or name[:1] != "." or not (name.isascii() and name[1:].isalnum()):
            return None
        names.append(name[1:])
        literals.append(literal)
    return literals, names


def _columns(rows: Sequence[Row], names: list[str]) -> list[dict[str, object]]:
    wanted = frozenset(names)
    return [{n: row.columns[n](row) for n in wanted if n in row.columns} for row in rows]


def _fill(literals: list[str], names: list[str], values: Mapping[str, object]) -> str | None:
    line = literals[0]
    for name, literal in zip(names, literals[1:], strict=True):
        value = values.get(name)
        if not isinstance(value, str):  # a column that there is not, or is no text
            return None
        line += value + literal
    return line
