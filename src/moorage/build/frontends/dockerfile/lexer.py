"""Text to logical lines: directives, escape character, continuation, comments, heredocs, flags.

Knows which instructions may carry heredocs, and nothing else of their meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from moorage.build.frontends.dockerfile import words
from moorage.build.frontends.dockerfile.source import DockerfileError, Source, Span, SyntaxFault

MAX_BYTES: Final = 4 << 20  # a Dockerfile longer than this is not one
HEREDOC_INSTRUCTIONS: Final = frozenset({"add", "copy", "run"})
DIRECTIVES: Final = frozenset({"escape", "syntax", "check"})

_DIRECTIVE: Final = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*\Z")
_COMMENT: Final = re.compile(r"\s*#")
_HEREDOC: Final = re.compile(r"(\d*)<<(-?)([^<]*)\Z")


class Heredoc(Struct, frozen=True):
    """A here-document: lines up to a terminator."""

    name: str
    content: str  # each line with its newline; leading tabs already dropped for ``<<-``
    expand: bool  # false when the terminator was quoted


class Directive(Struct, frozen=True):
    """A parser directive, ``# name=value`` before everything else."""

    name: str
    value: str
    line: int


class LogicalLine(Struct, frozen=True):
    """One instruction, not yet understood."""

    keyword: str  # as written
    flags: tuple[str, ...]  # each ``--name`` or ``--name=value``, unquoted
    text: str  # what follows keyword and flags; continuation lines joined
    heredocs: tuple[Heredoc, ...]
    span: Span
    comment: str = ""  # the comment block directly above

    @property
    def original(self) -> str:
        """Return the instruction as one line, without heredoc bodies."""
        return " ".join([self.keyword, *self.flags, self.text]).rstrip()


class Lexed(Struct, frozen=True):
    """All of a file."""

    source: Source
    escape: str
    directives: dict[str, Directive]
    lines: tuple[LogicalLine, ...]
    empty_continuations: tuple[Span, ...]


def lex(data: bytes, name: str = "Dockerfile") -> Lexed:
    """Split a Dockerfile into logical lines.

    Raises: DockerfileError.
    """
    if len(data) > MAX_BYTES:
        raise DockerfileError(
            f"file is too large: {len(data)} bytes, the limit is {MAX_BYTES}",
            Source(name, ("",)),
            Span(1, 1),
        )
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    physical = text.replace("\r\n", "\n").split("\n")
    if physical and not physical[-1]:
        physical.pop()
    source = Source(name, tuple(physical))
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DockerfileError("NUL byte in the file", source, Span(line, line))
    return _Lexer(source).run()


class _Lexer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0  # index of the next physical line
        self.escape = "\\"
        self.directives: dict[str, Directive] = {}
        self.empty_continuations: list[Span] = []

    def run(self) -> Lexed:
        self._read_directives()
        lines = tuple(self._logical_lines())
        return Lexed(
            self.source, self.escape, self.directives, lines, tuple(self.empty_continuations)
        )

    def _fail(self, reason: str, start: int, end: int, hint: str | None = None) -> DockerfileError:
        return DockerfileError(reason, self.source, Span(start, end), hint=hint)

    def _read_directives(self) -> None:
        lines = self.source.lines
        index = 1 if lines and lines[0].startswith("#!") else 0
        while index < len(lines):
            found = _DIRECTIVE.match(lines[index].strip())
            if not found:
                break
            index += 1
            name = found[1].lower()
            if name not in DIRECTIVES:
                continue
            if name in self.directives:
                raise self._fail(f"only one {name} parser directive can be used", index, index)
            if name == "escape" and found[2] not in {"\\", "`"}:
                raise self._fail(
                    f"invalid escape token '{found[2]}' does not match ` or \\", index, index
                )
            self.directives[name] = Directive(name, found[2], index)
        if "escape" in self.directives:
            self.escape = self.directives["escape"].value
        token = re.escape(self.escape)
        self.continuation = re.compile(rf"(?:(?<!{token})|\A){token}[ \t]*\Z")

    def _logical_lines(self) -> Iterator[LogicalLine]:
        lines = self.source.lines
        comment: list[str] = []
        while self.position < len(lines):
            line = lines[self.position]
            if not line.strip():
                comment.clear()
                self.position += 1
            elif _COMMENT.match(line):
                comment.append(line.strip().removeprefix("#").strip())
                self.position += 1
            else:
                yield self._logical_line("\n".join(comment))
                comment.clear()

    def _logical_line(self, comment: str) -> LogicalLine:
        start = self.position + 1
        text = self._join_continuation()
        keyword, _, rest = text.partition(" ") if " " in text else (text, "", "")
        found = re.match(r"(\S+)(?:\s+(.*))?\Z", text, re.DOTALL)
        if found:
            keyword, rest = found[1], found[2] or ""
        try:
            flags, rest = _take_flags(rest, self.escape)
            heredocs = self._read_heredocs(keyword, rest, start)
        except SyntaxFault as fault:
            raise self._fail(fault.reason, start, self.position, fault.hint) from fault
        return LogicalLine(
            keyword, flags, rest.strip(), heredocs, Span(start, self.position), comment
        )

    def _join_continuation(self) -> str:
        """Take physical lines up to the one that does not end in the escape character."""
        lines = self.source.lines
        parts: list[str] = []
        while self.position < len(lines):
            line = lines[self.position]
            self.position += 1
            if parts and _COMMENT.match(line):
                continue
            if parts and not line.strip():
                self.empty_continuations.append(Span(self.position, self.position))
                continue
            body, cut = self.continuation.subn("", line)
            parts.append(body if parts else body.lstrip())
            if not cut:
                break
        return "".join(parts).rstrip()

    def _read_heredocs(self, keyword: str, text: str, start: int) -> tuple[Heredoc, ...]:
        keyword = keyword.lower()
        while keyword == "onbuild":
            keyword, _, text = text.partition(" ")
            keyword = keyword.lower()
            _, text = _take_flags(text, self.escape)
        if keyword not in HEREDOC_INSTRUCTIONS or "<<" not in text or text.startswith("["):
            return ()
        openings = (heredoc_opening(word, self.escape) for word in words.split(text, self.escape))
        return tuple(self._read_heredoc(*found, start) for found in openings if found)

    def _read_heredoc(self, name: str, expand: bool, chomp: bool, start: int) -> Heredoc:  # noqa: FBT001
        lines = self.source.lines
        body: list[str] = []
        while self.position < len(lines):
            line = lines[self.position]
            self.position += 1
            if chomp:
                line = line.lstrip("\t")
            if line == name:
                return Heredoc(name, "".join(f"{part}\n" for part in body), expand)
            body.append(line)
        raise self._fail(
            "unterminated heredoc", start, start, f"expected a line that is only {name}"
        )


def heredoc_opening(word: str, escape: str) -> tuple[str, bool, bool] | None:
    """Return (name, expand, drop leading tabs) if *word* opens a here-document."""
    found = _HEREDOC.match(word)
    if not found or not found[3]:
        return None
    raw = found[3]
    name = words.unquote(raw, escape)
    if not name or len(words.split(raw, escape)) != 1:
        return None
    return name, name == raw, bool(found[2])


def _take_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """Cut ``--name[=value]`` words off the front of *text*."""
    flags: list[str] = []
    rest = text.lstrip()
    while rest.startswith("--"):
        end = words.end_of_word(rest, escape)
        word = rest[:end]
        rest = rest[end:].lstrip()
        if word == "--":
            break
        flags.append(words.unquote(word, escape))
    return tuple(flags), rest
