"""Rows through ``--format`` templates."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.format import tabwriter
from moorage.cli.row import Row
from moorage.cli.template.errors import ExecuteError, ParseError
from moorage.cli.template.functions import HEADER_FUNCTIONS, to_json
from moorage.cli.template.template import Template
from moorage.cli.template.values import Map, dress

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

    Raises: CommandError.
    """
    try:
        return Template(text, functions)
    except ParseError as e:
        raise CommandError(f"failed to parse template: {e}") from e


def execute(template: Template, value: object) -> str:
    """Render *value*.

    Raises: CommandError.
    """
    try:
        return template.render(value)
    except ExecuteError as e:
        raise CommandError(f"failed to execute template: {e}") from e


def render(rows: Sequence[Row], table: Table, format_: str) -> str:
    """Return *rows* as ``json``, ``TEMPLATE`` or ``table TEMPLATE`` asks."""
    text = format_.strip()
    if text == "json":
        return "".join(to_json(row) + "\n" for row in rows)
    is_table = text.startswith("table")
    if is_table:
        text = text.removeprefix("table").strip()
    text = text.replace("\\t", "\t").replace("\\n", "\n")
    template = compile_template(text)
    body = "".join(execute(template, row) + "\n" for row in rows)
    if not is_table:
        return body
    headings = execute(compile_template(text, HEADER_FUNCTIONS), _Headings(table.headings))
    return tabwriter.align((headings + "\n" + body).removesuffix("\n").split("\n"))


def render_one(value: object, format_: str) -> str:
    """Return one JSON object (``info``, ``version``) through a template, with its line end."""
    if format_.strip() == "json":
        return to_json(value) + "\n"
    text = format_.replace("\\t", "\t").replace("\\n", "\n")
    dressed = value if isinstance(value, Row | Map) else dress(value)
    return execute(compile_template(text), dressed) + "\n"
