"""Walk a template's tree over a value."""

from __future__ import annotations

from moorage.cli.failure import FunctionError
from moorage.cli.row import Row
from moorage.cli.template.errors import ExecuteError
from moorage.cli.template.functions import SIGNATURES
from moorage.cli.template.lexer import line_of
from moorage.cli.template.nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Invocation,
    Jump,
    Literal,
    Node,
    Pipeline,
    Text,
    Variable,
)
from moorage.cli.template.printing import text_of
from moorage.cli.template.values import Nil, field, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEEPEST = 100  # templates in templates
ABSENT = object()  # no final value comes down the pipe


class _Jump(Exception):
    """``break`` or ``continue`` on its way to the loop."""


class Executor:
    """One execution: output, variables, and where errors happened."""

    def __init__(
        self,
        source: str,
        functions: dict[str, Callable[..., object]],
        definitions: dict[str, list[Node]],
        value: object,
    ) -> None:
        self.source = source
        self.functions = functions
        self.definitions = definitions
        self.depth = 0
        self.has_static_types = isinstance(value, Row)  # else it is what JSON decodes to
        self.variables: list[tuple[str, object]] = [("$", value)]
        self.out: list[str] = []

    def walk(self, dot: object, nodes: list[Node]) -> None:
        """Execute *nodes* with the cursor at *dot*."""
        for node in nodes:
            if isinstance(node, Text):
                self.out.append(node.text)
            elif isinstance(node, Action):
                value = self._pipeline(dot, node.pipeline)
                if not node.pipeline.variables:
                    self.out.append(text_of(value))
            elif isinstance(node, Branch):
                self._branch(dot, node)
            elif isinstance(node, Invocation):
                self._invoke(dot, node)
            elif isinstance(node, Jump):
                raise _Jump(node.text)

    def _invoke(self, dot: object, node: Invocation) -> None:
        body = self.definitions.get(node.name)
        if body is None:
            raise self._failure(node, f'template "{node.name}" not defined')
        if self.depth == DEEPEST:
            raise self._failure(node, f"exceeded maximum template depth ({DEEPEST})")
        value = None if node.pipeline is None else self._pipeline(dot, node.pipeline)
        outside, self.variables = self.variables, [("$", value)]
        self.depth += 1
        self.walk(value, body)
        self.depth -= 1
        self.variables = outside

    def _branch(self, dot: object, node: Branch) -> None:
        scope = len(self.variables)
        if node.text == "range":
            self._range(dot, node)
        else:
            value = self._pipeline(dot, node.pipeline)
            if truth(value):
                self.walk(value if node.text == "with" else dot, node.body)
            else:
                self.walk(dot, node.otherwise)
        del self.variables[scope:]

    def _range(self, dot: object, node: Branch) -> None:
        value = self._pipeline(dot, node.pipeline, declare=False)
        pairs = list(self._items(node, value))
        if not pairs:
            self.walk(dot, node.otherwise)
            return
        scope = len(self.variables)
        for key, item in pairs:
            names = node.pipeline.variables
            bound = [item] if len(names) == 1 else [key, item]
            for name, given in zip(names, bound, strict=False):
                self._bind(node.pipeline, name, given)
            try:
                self.walk(item, node.body)
            except _Jump as jump:
                if jump.args[0] == "break":
                    break
            finally:
                if not node.pipeline.assigns:
                    del self.variables[scope:]

    def _items(self, node: Branch, value: object) -> Iterable[tuple[object, object]]:
        if isinstance(value, list | tuple):
            return enumerate(value)
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            return ((number, number) for number in range(value))
        if value is None or isinstance(value, Nil):
            return ()
        raise self._failure(
            node.pipeline.commands[-1], f"range can't iterate over {text_of(value)}"
        )

    def _pipeline(self, dot: object, pipeline: Pipeline, *, declare: bool = True) -> object:
        value: object = ABSENT
        for command in pipeline.commands:
            value = self._command(dot, command, value)
        if declare:
            for name in pipeline.variables:
                self._bind(pipeline, name, value)
        return value

    def _bind(self, pipeline: Pipeline, name: str, value: object) -> None:
        if not pipeline.assigns:
            self.variables.append((name, value))
            return
        for at in range(len(self.variables) - 1, -1, -1):
            if self.variables[at][0] == name:
                self.variables[at] = (name, value)
                return
        raise self._failure(pipeline.commands[-1], f"undefined variable: {name}")

    def _command(self, dot: object, command: Command, final: object) -> object:
        first, *rest = command.operands
        if isinstance(first, Function):
            return self._call(dot, first, rest, final, command)
        if isinstance(first, Literal) and first.text == "nil":
            raise self._failure(first, "nil is not a command")
        if isinstance(first, Field):
            arguments = [self._operand(dot, node) for node in rest]
            for node, given in zip(rest, arguments, strict=True):
                if isinstance(node, Literal) and not isinstance(given, str):
                    raise self._failure(node, f"expected string; found {node.text}")
            if final is not ABSENT:
                arguments.append(final)
            return self._fields(dot, first, arguments)
        if rest or final is not ABSENT:
            raise self._failure(first, f"can't give argument to non-function {first.text}")
        return self._operand(dot, first)

    def _operand(self, dot: object, node: Node) -> object:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Dot):
            return dot
        if isinstance(node, Field):
            return self._fields(dot, node, [])
        if isinstance(node, Pipeline):
            return self._pipeline(dot, node)
        if isinstance(node, Function):
            return self._call(dot, node, [], ABSENT, node)
        raise self._failure(node, f"can't evaluate {node.text}")

    def _fields(self, dot: object, node: Field, arguments: list[object]) -> object:
        """Follow *node*'s names; the last may be a column that is a function of one string."""
        names = node.names
        value = dot
        if isinstance(node, Variable):
            value = self._variable(names[0])
            names = names[1:]
        elif isinstance(node, Chain):
            value = self._operand(dot, node.inner)
        if arguments and not names:
            raise self._failure(node, f"can't give argument to non-function {node.text}")
        for at, name in enumerate(names):
            last = at == len(names) - 1
            try:
                value = field(
                    value, name, arguments if last else [], static_types=self.has_static_types
                )
            except FunctionError as e:
                raise self._failure(node, str(e)) from e
            except TypeError as e:  # columns that are functions take one argument, others none
                counts = f"want {0 if arguments else 1} got {len(arguments)}"
                raise self._failure(node, f"wrong number of args for {name}: {counts}") from e
        return value

    def _variable(self, name: str) -> object:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise ExecuteError(f"undefined variable: {name}")

    def _call(
        self, dot: object, node: Function, rest: list[Node], final: object, whole: Node
    ) -> object:
        """Call a function; *whole* is the command, which messages show."""
        if node.text in {"and", "or"}:
            return self._short_circuit(dot, node, rest, final)
        arguments = [self._operand(dot, operand) for operand in rest]
        if final is not ABSENT:
            arguments.append(final)
        self._check_arguments(node, rest, arguments)
        try:
            return self.functions[node.text](*arguments)
        except FunctionError as e:
            raise self._failure(whole, f"error calling {node.text}: {e}") from e

    def _check_arguments(
        self, function: Function, operands: list[Node], arguments: list[object]
    ) -> None:
        kinds, at_least, _ = SIGNATURES[function.text].partition("*")
        if len(arguments) < len(kinds) or (len(arguments) > len(kinds) and not at_least):
            wanted = f"at least {len(kinds)}" if at_least else str(len(kinds))
            message = f"wrong number of args for {function.text}"
            raise self._failure(function, f"{message}: want {wanted} got {len(arguments)}")
        for at, (kind, argument) in enumerate(zip(kinds, arguments, strict=False)):
            wanted, right = {
                "s": ("string", isinstance(argument, str)),
                "i": ("int", isinstance(argument, int) and not isinstance(argument, bool)),
                "l": ("[]string", argument is None or isinstance(argument, list | Nil)),
            }.get(kind, ("", True))
            if right:
                continue
            operand = operands[at] if at < len(operands) else function
            if isinstance(operand, Literal):
                wanted = {"int": "integer"}.get(wanted, wanted)
                raise self._failure(operand, f"expected {wanted}; found {operand.text}")
            got = type_name(argument)
            message = f"wrong type for value; expected {wanted}; got {got}"
            raise self._failure(operand, message)

    def _short_circuit(
        self, dot: object, node: Function, rest: list[Node], final: object
    ) -> object:
        value: object = ABSENT
        for operand in rest:
            value = self._operand(dot, operand)
            if truth(value) == (node.text == "or"):
                return value
        if final is not ABSENT:
            value = final
        if value is ABSENT:
            message = f"wrong number of args for {node.text}: want at least 1 got 0"
            raise self._failure(node, message)
        return value

    def _failure(self, node: Node, message: str) -> ExecuteError:
        line = line_of(self.source, node.at)
        column = node.at - (self.source.rfind("\n", 0, node.at) + 1)
        where = f'template: :{line}:{column}: executing "" at <{node.text}>'
        return ExecuteError(f"{where}: {message}")
