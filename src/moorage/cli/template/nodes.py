"""The tree of a template. Every operand keeps its position and text for error messages."""

from __future__ import annotations


class Node:
    """Anything in the tree."""

    __slots__ = ("at", "text")

    def __init__(self, at: int, text: str) -> None:
        self.at = at
        self.text = text


class Literal(Node):
    """A string, number, boolean, character or nil."""

    __slots__ = ("value",)

    def __init__(self, at: int, text: str, value: object) -> None:
        super().__init__(at, text)
        self.value = value


class Dot(Node):
    """The cursor."""

    __slots__ = ()


class Field(Node):
    """``.A.B`` on the cursor."""

    __slots__ = ("names",)

    def __init__(self, at: int, text: str, names: list[str]) -> None:
        super().__init__(at, text)
        self.names = names


class Variable(Field):
    """``$x.A.B``; the first name is the variable."""

    __slots__ = ()


class Chain(Field):
    """``(pipeline).A.B``."""

    __slots__ = ("inner",)

    def __init__(self, at: int, text: str, names: list[str], inner: Node) -> None:
        super().__init__(at, text, names)
        self.inner = inner


class Function(Node):
    """The name of a function; ``text`` is the name."""

    __slots__ = ()


class Command(Node):
    """An operand with its arguments."""

    __slots__ = ("operands",)

    def __init__(self, at: int, text: str, operands: list[Node]) -> None:
        super().__init__(at, text)
        self.operands = operands


class Pipeline(Node):
    """Commands joined by bars, and the variables they are given to."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(
        self,
        at: int,
        text: str,
        variables: list[str],
        assigns: bool,  # noqa: FBT001
        commands: list[Command],
    ) -> None:
        super().__init__(at, text)
        self.variables = variables
        self.assigns = assigns  # "=" to variables that exist, not ":="
        self.commands = commands


class Text(Node):
    """Text outside actions."""

    __slots__ = ()


class Action(Node):
    """A pipeline whose value is printed."""

    __slots__ = ("pipeline",)

    def __init__(self, at: int, pipeline: Pipeline) -> None:
        super().__init__(at, pipeline.text)
        self.pipeline = pipeline


class Branch(Node):
    """``if``, ``with`` or ``range``, told apart by ``text``."""

    __slots__ = ("body", "otherwise", "pipeline")

    def __init__(
        self, at: int, keyword: str, pipeline: Pipeline, body: list[Node], otherwise: list[Node]
    ) -> None:
        super().__init__(at, keyword)
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Invocation(Node):
    """``{{template "name" pipeline}}``; without a pipeline the cursor is nothing there."""

    __slots__ = ("name", "pipeline")

    def __init__(self, at: int, text: str, name: str, pipeline: Pipeline | None) -> None:
        super().__init__(at, text)
        self.name = name
        self.pipeline = pipeline


class Jump(Node):
    """``break`` or ``continue``."""

    __slots__ = ()
