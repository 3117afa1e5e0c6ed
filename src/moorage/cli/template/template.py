"""A parsed template and its rendering."""

from __future__ import annotations

from moorage.cli.template.execute import Executor
from moorage.cli.template.functions import FUNCTIONS
from moorage.cli.template.parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Template:
    """A parsed template."""

    def __init__(
        self, text: str, functions: dict[str, Callable[..., object]] | None = None
    ) -> None:
        self.functions = {**FUNCTIONS, **(functions or {})}
        self.root, self.definitions = parse(text, frozenset(self.functions))
        self.text = text

    def render(self, value: object) -> str:
        """Execute over *value*.

        Raises: ExecuteError.
        """
        executor = Executor(self.text, self.functions, self.definitions, value)
        executor.walk(value, self.root)
        return "".join(executor.out)
