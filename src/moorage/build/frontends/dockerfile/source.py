"""The text of a Dockerfile, places in it, and errors that show the place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct

from moorage.lib.errors import InvalidParameter


class Span(Struct, frozen=True):
    """First and last line of something, counted from 1."""

    start: int
    end: int


class Source(Struct, frozen=True):
    """A Dockerfile's name, as the user gave it, and its lines."""

    name: str
    lines: tuple[str, ...]

    def frame(self, span: Span, *, context: int = 2) -> str:
        """Draw the lines round *span* with a mark at those of it, as Docker's client does."""
        first = max(1, span.start - context)
        last = min(len(self.lines), span.end + context)
        rule = "-" * 20
        body = [
            f"{number:4d} | {'>>>' if span.start <= number <= span.end else '   '} {line}".rstrip()
            for number, line in enumerate(self.lines[first - 1 : last], start=first)
        ]
        where = f"{self.name}:{span.start}" + (f"-{span.end}" if span.end > span.start else "")
        return "\n".join([where, rule, *body, rule])


class DockerfileError(InvalidParameter):
    """The Dockerfile is wrong: says what, where, shows the lines.

    ``reason`` is the sentence alone, ``span`` the lines it is about.
    """

    def __init__(self, reason: str, source: Source, span: Span, *, hint: str | None = None) -> None:
        message = f"dockerfile parse error on line {span.start}: {reason}"
        if hint:
            message = f"{message} ({hint})"
        super().__init__(f"{message}\n{source.frame(span)}")
        self.reason = reason
        self.source = source
        self.span = span


class SyntaxFault(Exception):
    """Raised where the place is not known; the parser adds it. *hint* says what was expected."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def near_match(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that *word* was probably meant to be."""
    candidates = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), candidates, n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the hint for an unknown *word*, if one is near."""
    found = near_match(word, known)
    return f"did you mean {found}?" if found else None
