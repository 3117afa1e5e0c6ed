"""Make the tree of a template."""

from __future__ import annotations

from moorage.cli.template import lexer
from moorage.cli.template.errors import ParseError
from moorage.cli.template.lexer import Token, line_of
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

_BRANCHES = frozenset({"if", "with", "range"})
_NESTED = frozenset({"define", "template", "block"})
_KEYWORDS = _BRANCHES | _NESTED | {".", "else", "end", "nil", "break", "continue"}
MOST_DECLARATIONS = 2
LONGEST_SHOWN = 10
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "nil": None}


def parse(source: str, functions: frozenset[str]) -> tuple[list[Node], dict[str, list[Node]]]:
    """Parse *source*; *functions* are the names that may be called.

    Returns: the tree, and the trees that ``define`` and ``block`` named.

    Raises: ParseError.
    """
    parser = _Parser(source, functions)
    return parser.whole(), parser.definitions


class _Parser:
    def __init__(self, source: str, functions: frozenset[str]) -> None:
        self.source = source
        self.functions = functions
        self.tokens, self.lexical_error = lexer.all_tokens(source)
        self.at = 0
        self.variables: list[str] = ["$"]
        self.loops = 0
        self.definitions: dict[str, list[Node]] = {}

    def whole(self) -> list[Node]:
        body, ended_by = self._list(outermost=True)
        if ended_by:
            self._fail(f"unexpected {{{{{ended_by}}}}}")
        return body

    def _list(self, *, outermost: bool = False) -> tuple[list[Node], str]:
        """Read nodes up to ``end``, ``else`` or the end of the text; return what ended them."""
        body: list[Node] = []
        while True:
            token = self._next()
            if token.kind == lexer.END:
                return body, ""
            if token.kind == lexer.TEXT:
                body.append(Text(token.at, token.text))
                continue
            word = self._peek_solid()
            if word.kind == lexer.IDENTIFIER and word.text in {"end", "else"}:
                self._next_solid()
                return body, word.text
            if outermost and word.kind == lexer.IDENTIFIER and word.text == "define":
                self._next_solid()
                name = self._name("define clause")
                self._expect_right("define clause")
                self._define(name)
                continue
            body.append(self._action(word))

    def _name(self, context: str) -> str:
        token = self._next_solid()
        if token.kind != lexer.STRING:
            self._fail(f"unexpected {_quoted(token)} in {context}")
        return token.text

    def _define(self, name: str) -> None:
        """Read the body of a template of its own, which sees none of the variables around it."""
        outside, self.variables = self.variables, ["$"]
        loops, self.loops = self.loops, 0
        body, ended_by = self._list()
        if ended_by != "end":
            self._fail("unexpected EOF" if not ended_by else f"unexpected {{{{{ended_by}}}}}")
        self._expect_right("end")
        self.variables, self.loops = outside, loops
        self.definitions[name] = body

    def _invocation(self, word: Token, keyword: str) -> Node:
        context = f"{keyword} clause"
        name = self._name(context)
        pipeline = None
        if keyword == "block" or self._peek_solid().kind != lexer.RIGHT:
            pipeline = self._pipeline(context)
        else:
            self._next_solid()
        text = f'{{{{template "{name}"{" " + pipeline.text if pipeline else ""}}}}}'
        if keyword == "block":
            self._define(name)
        return Invocation(word.at + len(keyword) + 1, text, name, pipeline)

    def _action(self, word: Token) -> Node:
        keyword = word.text if word.kind == lexer.IDENTIFIER else ""
        if keyword in {"template", "block"}:
            self._next_solid()
            return self._invocation(word, keyword)
        if keyword in _BRANCHES:
            self._next_solid()
            return self._branch(word, keyword)
        if keyword in {"break", "continue"}:
            self._next_solid()
            if not self.loops:
                self._fail(f"{{{{{keyword}}}}} outside {{{{range}}}}")
            self._expect_right(keyword)
            return Jump(word.at, keyword)
        pipeline = self._pipeline("command")
        return Action(word.at, pipeline)

    def _branch(self, word: Token, keyword: str) -> Branch:
        scope = len(self.variables)
        pipeline = self._pipeline(keyword)
        self.loops += keyword == "range"
        body, ended_by = self._list()
        self.loops -= keyword == "range"
        otherwise: list[Node] = []
        if ended_by == "else":
            following = self._peek_solid()
            if following.kind == lexer.IDENTIFIER and following.text in {"if", "with"}:
                self._next_solid()
                otherwise = [self._branch(following, following.text)]
                del self.variables[scope:]
                return Branch(word.at, keyword, pipeline, body, otherwise)
            self._expect_right("else")
            otherwise, ended_by = self._list()
            if ended_by == "else":
                self._fail("expected end; found {{else}}")
        if ended_by != "end":
            self._fail("unexpected EOF" if not ended_by else f"unexpected {{{{{ended_by}}}}}")
        self._expect_right("end")
        del self.variables[scope:]
        return Branch(word.at, keyword, pipeline, body, otherwise)

    def _pipeline(self, context: str, closing: str = "}}") -> Pipeline:
        start = self._peek_solid()
        names, assigns = self._declarations(context)
        commands: list[Command] = []
        end = start.at
        while True:
            token = self._peek_solid()
            if token.kind == lexer.RIGHT and closing == ")":
                self._fail("unclosed left paren")
            if token.text == closing and token.kind in {lexer.RIGHT, lexer.PUNCTUATION}:
                end = self._next_solid().at
                break
            if token.text == ")" and token.kind == lexer.PUNCTUATION:
                self._fail("unexpected right paren")
            commands.append(self._command(context))
            token = self._peek_solid()
            if token.text == "|" and token.kind == lexer.PUNCTUATION:
                self._next_solid()
        if not commands:
            self._fail(f"missing value for {context}")
        for command in commands[1:]:
            if isinstance(command.operands[0], Literal | Dot):
                self._fail(
                    f"non executable command in pipeline stage {commands.index(command) + 1}"
                )
        text = self.source[start.at : end].strip()
        if not assigns:
            self.variables += names
        return Pipeline(start.at, text, names, assigns, commands)

    def _declarations(self, context: str) -> tuple[list[str], bool]:
        """Read ``$x :=``, ``$x =`` and, for range, ``$i, $x :=``."""
        saved, names = self.at, []
        while self._peek_solid().kind == lexer.VARIABLE:
            names.append(self._next_solid().text)
            mark = self._peek_solid()
            if mark.text in {":=", "="} and mark.kind == lexer.PUNCTUATION:
                self._next_solid()
                return names, mark.text == "="
            if mark.text != "," or context != "range":
                break
            if len(names) == MOST_DECLARATIONS:
                self._fail("too many declarations in range")
            self._next_solid()
        self.at = saved
        return [], False

    def _command(self, context: str) -> Command:
        operands: list[Node] = []
        start = self._peek_solid()
        while True:
            token = self._peek_solid()
            if token.kind in {lexer.RIGHT, lexer.END} or token.text in {"|", ")"}:
                break
            if not operands and not _begins_operand(token):
                break
            operands.append(self._operand())
            following = self._peek()
            if following.kind not in {lexer.SPACE, lexer.RIGHT, lexer.END} and (
                following.text not in {"|", ")"}
            ):
                self._fail(f"unexpected {_quoted(following)} in operand")
        token = self._peek_solid()
        if token.kind == lexer.END:
            self._fail("unclosed action")
        if not operands:
            self._fail(f"unexpected {_quoted(token)} in {context}")
        return Command(start.at, self.source[start.at : token.at].strip(), operands)

    def _operand(self) -> Node:
        token = self._next_solid()
        node = self._term(token)
        names: list[str] = []
        at = token.at
        while self._peek().kind == lexer.FIELD and len(self._peek().text) > 1:
            field = self._next()
            at = field.at if not names else at
            names.append(field.text[1:])
        if not names:
            return node
        text = node.text + "".join(f".{name}" for name in names)
        if isinstance(node, Chain) or not isinstance(node, Field):
            if isinstance(node, Literal | Dot):
                self._fail(f"unexpected . after term {node.text!r}".replace("'", '"'))
            return Chain(at, text, names, node)
        return type(node)(at, text, [*node.names, *names])

    def _term(self, token: Token) -> Node:  # noqa: C901, PLR0911 - one case for each token
        text = token.text
        if token.kind == lexer.FIELD:
            return Dot(token.at, ".") if text == "." else Field(token.at, text, [text[1:]])
        if token.kind == lexer.VARIABLE:
            if text not in self.variables:
                self._fail(f"undefined variable {text!r}".replace("'", '"'))
            return Variable(token.at, text, [text])
        if token.kind == lexer.STRING:
            return Literal(token.at, f'"{text}"', text)
        if token.kind == lexer.CHAR:
            return Literal(token.at, text, ord(text))
        if token.kind == lexer.NUMBER:
            return Literal(token.at, text, self._number(text))
        if token.kind == lexer.IDENTIFIER:
            if text in _CONSTANTS:
                return Literal(token.at, text, _CONSTANTS[text])
            if text not in self.functions:
                self._fail(f'function "{text}" not defined')
            return Function(token.at, text)
        if text == "(":
            return self._pipeline("parenthesized pipeline", ")")
        self._fail(f"unexpected {_quoted(token)} in operand")
        raise AssertionError

    def _number(self, text: str) -> int | float:
        try:
            return int(text, 0)
        except ValueError:
            try:
                return float(text)
            except ValueError:
                self._fail(f"bad number syntax: {text!r}".replace("'", '"'))
                raise AssertionError from None

    def _expect_right(self, context: str) -> None:
        token = self._next_solid()
        if token.kind != lexer.RIGHT:
            self._fail(f"unexpected {_quoted(token)} in {context}")

    def _peek(self) -> Token:
        if self.at >= len(self.tokens) and self.lexical_error is not None:
            raise self.lexical_error  # only now: what the parser finds before it counts first
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        self.at += 1
        return token

    def _peek_solid(self) -> Token:
        while self._peek().kind == lexer.SPACE:
            self.at += 1
        return self._peek()

    def _next_solid(self) -> Token:
        self._peek_solid()
        return self._next()

    def _fail(self, message: str) -> None:
        line = line_of(self.source, self.tokens[min(self.at, len(self.tokens)) - 1].at)
        raise ParseError(f"template: :{line}: {message}")


def _begins_operand(token: Token) -> bool:
    if token.kind == lexer.PUNCTUATION:
        return token.text == "("
    return token.kind != lexer.IDENTIFIER or token.text not in _KEYWORDS - {"nil"}


def _quoted(token: Token) -> str:
    """Return a token as Go's messages show it: keywords in angles, the rest in quotes."""
    if token.kind == lexer.END:
        return "EOF"
    if token.text in _KEYWORDS:
        return f"<{token.text}>"
    text = token.text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text[:LONGEST_SHOWN]}"...' if len(token.text) > LONGEST_SHOWN else f'"{text}"'
