"""Rows through ``--format`` templates."""

from __future__ import annotations

from moorage.cli.failure import CommandError, TemplateError
from moorage.cli.format import tabwriter
from moorage.cli.row import Row
from moorage.cli.template.errors import ExecuteError, ParseError
from moorage.cli.template.functions import HEADER_FUNCTIONS
from moorage.cli.template.template import Template
from moorage.cli.template.values import Map, dress, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moorage.cli.format.listing import Table

HELP_LINK = "see 'moor COMMAND --help' for the fields and functions"


class _Headings(Row):
    """The row that prints headings."""

    def __init__(self, headings: dict[str, str]) -> None:
        self.headings = headings

    def get(self, name: str, arguments: list[object]) -> object:
        """Return a heading; ``.Label "x"`` is headed by its argument."""
        if name == "Label" and arguments:
            return str(arguments[0]).rpartition(".")[2]
        return self.headings.get(name)


def compile_template(
    text: str, functions: dict[str, Callable[..., object]] | None = None
) -> Template:
    """Parse a template.

    Raises: TemplateError.
    """
    try:
        return Template(text, functions)
    except ParseError as e:
        raise TemplateError(str(e), parsed=False) from e


def execute(template: Template, value: object) -> str:
    """Render *value*.

    Raises: TemplateError.
    """
    try:
        return template.render(value)
    except ExecuteError as e:
        raise TemplateError(str(e), parsed=True) from e


def render(rows: Sequence[Row], table: Table, format_: str) -> str:
    """Return *rows* as ``raw``, ``TEMPLATE`` or ``table TEMPLATE`` asks."""
    if format_ == "raw" and table.raw:
        return "".join(_raw(row, table) for row in rows)
    is_table = format_.startswith("table")
    text = format_.removeprefix("table") if is_table else format_
    text = text.strip().replace("\\t", "\t").replace("\\n", "\n")
    template = compile_template(text)
    body = "".join(execute(template, row) + "\n" for row in rows)
    if not is_table:
        return body
    try:
        headings = execute(compile_template(text, HEADER_FUNCTIONS), _Headings(table.headings))
    except TemplateError:
        headings = ""  # it fits the rows: a loop over what a heading is not
    return tabwriter.align((headings + "\n" + body).removesuffix("\n").split("\n"))


_BARE = frozenset({"labels", "ports"})  # of a container: docker puts no space where none is


def _raw(row: Row, table: Table) -> str:
    """Return a row as lines of ``name: value``, with an empty line after them."""
    lines: list[str] = []
    for label, column in table.raw:
        value = row.get(column, [])
        lines.append(f"{label}: {value}" if value or label not in _BARE else f"{label}:")
    return "\n".join(lines) + "\n\n"


def render_one(value: object, format_: str) -> str:
    """Return one JSON object (``info``, ``version``) through a template, with its line end.

    Raises: CommandError.
    """
    if format_.strip() == "json":
        return to_json(value) + "\n"
    text = format_.replace("\\t", "\t").replace("\\n", "\n")
    dressed = value if isinstance(value, Row | Map) else dress(value)
    try:
        return execute(compile_template(text), dressed) + "\n"
    except TemplateError as e:
        raise (CommandError(e.reason) if e.parsed else CommandError(e.message, 64)) from e
