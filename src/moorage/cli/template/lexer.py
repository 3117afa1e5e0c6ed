"""Cut a template into tokens."""

from __future__ import annotations

from moorage.cli.template.errors import ParseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT, LEFT, RIGHT, FIELD, VARIABLE, IDENTIFIER, STRING, NUMBER, CHAR, SPACE, PUNCTUATION, END = (
    "text",
    "left",
    "right",
    "field",
    "variable",
    "identifier",
    "string",
    "number",
    "char",
    "space",
    "punctuation",
    "end",
)
_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'",
    "a": "\a", "b": "\b", "f": "\f", "v": "\v",
}  # fmt: skip
_TERMINATORS = frozenset(" \t\r\n.,|:=()")
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


class Token:
    """A kind, its text, and where it starts."""

    __slots__ = ("at", "kind", "text")

    def __init__(self, kind: str, text: str, at: int) -> None:
        self.kind = kind
        self.text = text
        self.at = at


def all_tokens(source: str) -> tuple[list[Token], ParseError | None]:
    """Return the tokens up to the first that cannot be read, and why it cannot."""
    found: list[Token] = []
    try:
        for token in tokens(source):
            found.append(token)  # noqa: PERF402 - keeps what came before the error
    except ParseError as e:
        return found, e
    return found, None


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of *source*; spaces inside actions are tokens, since they separate.

    Raises: ParseError.
    """
    at, trim_next = 0, False
    while at < len(source):
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        shown = text.lstrip(" \t\r\n") if trim_next else text
        trim_next = False
        trim_before = (
            start >= 0
            and source[start + 2 : start + 3] == "-"
            and (source[start + 3 : start + 4] in {" ", "\t", "\r", "\n"})
        )
        if trim_before:
            shown = shown.rstrip(" \t\r\n")
        if shown:
            yield Token(TEXT, shown, at)
        if start < 0:
            break
        inside = start + (3 if trim_before else 2)
        stripped = inside + len(source[inside:]) - len(source[inside:].lstrip(" \t\r\n"))
        if source.startswith("/*", stripped if trim_before else inside):
            at, trim_next = _comment_end(source, inside)
            continue
        yield Token(LEFT, "{{", start)
        at = inside
        while True:
            token, at, closed, trim_next = _inside(source, at)
            yield token
            if closed:
                break
    yield Token(END, "", len(source))


def _comment_end(source: str, at: int) -> tuple[int, bool]:
    end = source.find("*/", at)
    if end < 0:
        raise ParseError(f"template: :{line_of(source, at)}: unclosed comment")
    rest = source[end + 2 :]
    if rest.lstrip(" \t\r\n").startswith("-}}") and rest[:1].isspace():
        return end + 2 + rest.index("-}}") + 3, True
    if rest.startswith("}}"):
        return end + 4, False
    raise ParseError(f"template: :{line_of(source, at)}: comment ends before closing delimiter")


def _inside(source: str, at: int) -> tuple[Token, int, bool, bool]:
    """Take one token of an action: token, next position, action closed, trim what follows."""
    if source.startswith("}}", at):
        return Token(RIGHT, "}}", at), at + 2, True, False
    char = source[at : at + 1]
    if char in {" ", "\t", "\r", "\n"}:
        end = at
        while source[end : end + 1] in {" ", "\t", "\r", "\n"}:
            end += 1
        if source.startswith("-}}", end):
            return Token(RIGHT, "}}", end), end + 3, True, True
        return Token(SPACE, source[at:end], at), end, False, False
    token, end = _token(source, at, char)
    return token, end, False, False


def _token(  # noqa: C901, PLR0911 - one case for each kind
    source: str, at: int, char: str
) -> tuple[Token, int]:
    line = line_of(source, at)
    if not char:
        raise ParseError(f"template: :{line}: unclosed action")
    if char == '"':
        return _string(source, at)
    if char == "`":
        end = source.find("`", at + 1)
        if end < 0:
            raise ParseError(f"template: :{line}: unterminated raw quoted string")
        return Token(STRING, source[at + 1 : end], at), end + 1
    if char == "'":
        return _character(source, at)
    following = source[at + 1 : at + 2]
    if (
        char.isdigit()
        or (char in "+-" and following.isdigit())
        or (char == "." and following.isdigit())
    ):
        return _number(source, at)
    if char in {"+", "-"} or (char == "." and not following):
        raise ParseError(f'template: :{line}: illegal number syntax: "{char}"')
    if char in {".", "$"} or char.isalpha() or char == "_":
        return _word(source, at, char)
    for mark in (":=", "=", "|", "(", ")", ","):
        if source.startswith(mark, at):
            return Token(PUNCTUATION, mark, at), at + len(mark)
    if char.isascii() and char.isprintable():
        return Token(PUNCTUATION, char, at), at + 1  # the parser says where it is not expected
    shown = f"U+{ord(char):04X} '{char}'"
    raise ParseError(f"template: :{line}: unexpected unrecognized character in action: {shown}")


def _number(source: str, at: int) -> tuple[Token, int]:
    end = at + 1
    while source[end : end + 1].isalnum() or source[end : end + 1] in {".", "_"}:
        signed = source[end] in "eE" and source[at : at + 2].lower() != "0x"
        end += 2 if signed and source[end + 1 : end + 2] in {"+", "-"} else 1
    return Token(NUMBER, source[at:end], at), end


def _word(source: str, at: int, char: str) -> tuple[Token, int]:
    """Take a field, a variable or an identifier; only some characters may touch its end."""
    end = at + 1
    while source[end : end + 1].isalnum() or source[end : end + 1] == "_":
        end += 1
    following = source[end : end + 1]
    if following and following not in _TERMINATORS and not source.startswith("}}", end):
        shown = f"U+{ord(following):04X} '{following}'"
        raise ParseError(f"template: :{line_of(source, at)}: bad character {shown}")
    kind = FIELD if char == "." else VARIABLE if char == "$" else IDENTIFIER
    return Token(kind, source[at:end], at), end


def _string(source: str, at: int) -> tuple[Token, int]:
    end = at + 1
    while source[end : end + 1] != '"':
        if not source[end : end + 1] or source[end] == "\n":
            raise ParseError(f"template: :{line_of(source, at)}: unterminated quoted string")
        end += 2 if source[end] == "\\" else 1
    return Token(STRING, unescape(source[at + 1 : end], line_of(source, at)), at), end + 1


def _character(source: str, at: int) -> tuple[Token, int]:
    end = at + 1
    while source[end : end + 1] != "'":
        if not source[end : end + 1] or source[end] == "\n":
            raise ParseError(f"template: :{line_of(source, at)}: unterminated character constant")
        end += 2 if source[end] == "\\" else 1
    char = unescape(source[at + 1 : end], line_of(source, at))
    if len(char) != 1:
        line, constant = line_of(source, at), source[at : end + 1]
        raise ParseError(f"template: :{line}: malformed character constant: {constant}")
    return Token(CHAR, char, at), end + 1


def unescape(text: str, line: int) -> str:
    """Resolve Go's backslash escapes."""
    if "\\" not in text:
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out.append(text[at])
            at += 1
            continue
        code = text[at + 1 : at + 2]
        if code in _ESCAPES:
            out.append(_ESCAPES[code])
            at += 2
        elif code in _HEX_ESCAPES:
            size = _HEX_ESCAPES[code]
            out.append(chr(int(text[at + 2 : at + 2 + size], 16)))
            at += 2 + size
        elif code.isdigit():
            out.append(chr(int(text[at + 1 : at + 4], 8)))
            at += 4
        else:
            raise ParseError(f"template: :{line}: invalid syntax")
    return "".join(out)


def line_of(source: str, at: int) -> int:
    """Return the line number of a position."""
    return source.count("\n", 0, at) + 1
