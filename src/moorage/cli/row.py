"""One line of a listing, as templates and tables see it."""

from __future__ import annotations

from moorage.cli.failure import FunctionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Row:
    """One line of a listing: named columns, computed when asked for.

    A subclass names its columns in ``columns``; ``kind`` is the Go type error messages mention.
    """

    columns: dict[str, Callable[..., object]] = {}  # noqa: RUF012 - tables of subclasses
    kind = "formatter.Context"

    def get(self, name: str, arguments: list[object]) -> object:
        """Return a column; *arguments* go to columns that are functions (``.Label "x"``)."""
        column = self.columns.get(name) or self.functions().get(name)
        if column is None:
            raise FunctionError(f"can't evaluate field {name} in type *{self.kind}")
        return column(self, *arguments)

    def functions(self) -> dict[str, Callable[..., object]]:
        """Return columns that take arguments and so are left out of ``json``."""
        return {}

    def plain(self) -> dict[str, object]:
        """Return every column, as ``{{json .}}`` shows it."""
        return {name: self.columns[name](self) for name in sorted(self.columns)}
