"""Expansion of ``$NAME`` and ``${NAME<modifier>}`` with quotes and escapes, as Docker's lexer.

Modifiers: ``:-`` ``-`` ``:+`` ``+`` ``:?`` ``?`` (default, alternative, error; with the colon an
empty value counts as unset), ``#`` ``##`` ``%`` ``%%`` (cut a pattern off the front or the end,
shortest or longest), ``/`` ``//`` (replace the first or every match). Patterns know ``*``, ``?``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from moorage.build.frontends.dockerfile import words
from moorage.build.frontends.dockerfile.source import SyntaxFault

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-]")
_MAX_DEPTH: Final = 50  # nested modifiers


class Expanded(Struct, frozen=True):
    """The result of one expansion."""

    text: str
    words: tuple[str, ...]  # split at white space that was not quoted
    unset: frozenset[str]  # variables that were used, have no value and no default
    used: frozenset[str]


def expand(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> Expanded:
    """Expand *text*.

    Raises: SyntaxFault (bad substitution, unterminated quote, ``:?`` on an unset variable).
    """
    run = _Expander(text, variables, escape)
    run.word("")
    return Expanded("".join(run.out), tuple(run.words()), frozenset(run.unset), frozenset(run.used))


def expand_raw(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Expand variables in the body of a here-document: quotes mean nothing there.

    Raises: SyntaxFault.
    """
    run = _Expander(text, variables, escape, raw_quotes=True)
    run.word("")
    return "".join(run.out)


class _Expander:
    def __init__(
        self,
        text: str,
        variables: Mapping[str, str],
        escape: str,
        *,
        raw_quotes: bool = False,
        depth: int = 0,
    ) -> None:
        if depth > _MAX_DEPTH:
            raise SyntaxFault("bad substitution: nested too deeply")
        self.text = text
        self.variables = variables
        self.escape = escape
        self.raw_quotes = raw_quotes
        self.depth = depth
        self.position = 0
        self.out: list[str] = []
        self.marks: list[bool] = []  # for each piece of out: may it be split at white space
        self.unset: set[str] = set()
        self.used: set[str] = set()

    def put(self, piece: str, *, splittable: bool) -> None:
        self.out.append(piece)
        self.marks.append(splittable)

    def words(self) -> list[str]:
        """Split what came out at unquoted white space; quoted emptiness is a word too."""
        found: list[str] = []
        current: str | None = None
        for piece, splittable in zip(self.out, self.marks, strict=True):
            if not splittable:
                current = (current or "") + piece
                continue
            for char in piece:
                if char in words.SPACE:
                    if current is not None:
                        found.append(current)
                    current = None
                else:
                    current = (current or "") + char
        return found if current is None else [*found, current]

    def word(self, stop: str) -> None:
        """Expand up to an unquoted *stop* character, or the end."""
        while self.position < len(self.text):
            char = self.text[self.position]
            if stop and char == stop:
                return
            if char == "'" and not self.raw_quotes:
                self._single_quoted()
            elif char == '"' and not self.raw_quotes:
                self._double_quoted()
            elif char == "$":
                self.put(self._dollar(), splittable=True)
            elif char == self.escape:
                self._escaped()
            else:
                self.put(char, splittable=True)
                self.position += 1

    def _escaped(self) -> None:
        following = self.text[self.position + 1 : self.position + 2]
        self.position += 2
        if self.raw_quotes and following not in {"$", self.escape}:
            following = self.escape + following
        self.put(following, splittable=False)

    def _single_quoted(self) -> None:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise SyntaxFault("unexpected end of statement while looking for matching single-quote")
        self.put(self.text[self.position + 1 : end], splittable=False)
        self.position = end + 1

    def _double_quoted(self) -> None:
        self.position += 1
        self.put("", splittable=False)
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == '"':
                self.position += 1
                return
            if char == "$":
                self.put(self._dollar(), splittable=False)
            elif char == self.escape and self.position + 1 < len(self.text):
                following = self.text[self.position + 1]
                known = following in f'"${self.escape}'
                self.put(following if known else char + following, splittable=False)
                self.position += 2
            else:
                self.put(char, splittable=False)
                self.position += 1
        raise SyntaxFault("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        self.position += 1
        if self.text[self.position : self.position + 1] == "{":
            self.position += 1
            return self._braced()
        found = _NAME.match(self.text, self.position)
        if not found:
            return "$"
        self.position = found.end()
        return self._value(found[0]) or ""

    def _value(self, name: str, *, needed: bool = True) -> str | None:
        self.used.add(name)
        value = self.variables.get(name)
        if value is None and needed:
            self.unset.add(name)
        return value

    def _braced(self) -> str:
        found = _NAME.match(self.text, self.position)
        if not found:
            raise SyntaxFault("bad substitution", hint="expected a variable name after ${")
        name = found[0]
        self.position = found.end()
        rest = self.text[self.position :]
        if rest.startswith("}"):
            self.position += 1
            return self._value(name) or ""
        if rest[:2] in {":-", ":+", ":?"}:
            self.position += 2
            return self._conditional(name, rest[1], empty_is_unset=True)
        if rest[:1] in {"-", "+", "?"}:
            self.position += 1
            return self._conditional(name, rest[0], empty_is_unset=False)
        if rest[:1] in {"#", "%"}:
            longest = rest[1:2] == rest[0]
            self.position += 2 if longest else 1
            return _cut(
                self._value(name) or "", self._operand("}"), end=rest[0] == "%", longest=longest
            )
        if rest[:1] == "/":
            every = rest[1:2] == "/"
            self.position += 2 if every else 1
            return self._replace(name, every=every)
        if rest[:1] == ":":
            raise SyntaxFault(
                f"unsupported modifier ({rest[1:2]}) in substitution", hint="known: :- :+ :?"
            )
        raise SyntaxFault(
            "bad substitution" if rest else "syntax error: missing '}'",
            hint=f"expected }} or a modifier after ${{{name}",
        )

    def _conditional(self, name: str, operator: str, *, empty_is_unset: bool) -> str:
        operand = self._operand("}")
        value = self._value(name, needed=False)
        is_set = value is not None and not (empty_is_unset and not value)
        if operator == "+":
            return operand if is_set else ""
        if is_set:
            return value or ""
        if operator == "?":
            message = operand or "is not allowed to be unset"
            raise SyntaxFault(f"{name}: {message}")
        return operand

    def _replace(self, name: str, *, every: bool) -> str:
        pattern = self._operand("/")
        replacement = self._operand("}")
        value = self._value(name) or ""
        expression = re.compile(_pattern(pattern, greedy=True), re.DOTALL)
        return expression.sub(lambda _: replacement, value, count=0 if every else 1)

    def _operand(self, stop: str) -> str:
        """Expand the word behind a modifier, up to and over *stop*."""
        start = self.position
        inner = _Expander(
            self.text[start:],
            self.variables,
            self.escape,
            raw_quotes=self.raw_quotes,
            depth=self.depth + 1,
        )
        inner.word(stop)
        if inner.position >= len(inner.text):
            raise SyntaxFault(
                "syntax error: missing '}' in substitution"
                if stop == "}"
                else "syntax error: missing '/' in ${}"
            )
        self.position = start + inner.position + 1
        self.unset |= inner.unset
        self.used |= inner.used
        return "".join(inner.out)


def _pattern(pattern: str, *, greedy: bool) -> str:
    lazy = "" if greedy else "?"
    out: list[str] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\" and index + 1 < len(pattern):
            index += 1
            out.append(re.escape(pattern[index]))
        elif char == "*":
            out.append(f".*{lazy}")
        elif char == "?":
            out.append(".")
        else:
            out.append(re.escape(char))
        index += 1
    return "".join(out)


def _cut(value: str, pattern: str, *, end: bool, longest: bool) -> str:
    """Cut what *pattern* matches off the front of *value*, or off its *end*."""
    expression = re.compile(_pattern(pattern, greedy=True), re.DOTALL)
    lengths = range(len(value) + 1)
    for length in reversed(lengths) if longest else lengths:
        part = value[len(value) - length :] if end else value[:length]
        if expression.fullmatch(part):
            return value[: len(value) - length] if end else value[length:]
    return value
