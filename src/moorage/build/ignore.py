"""``.dockerignore``: which files of a context do not exist for the build.

Docker's rules: the last pattern that matches decides; ``!`` takes back; a pattern matches what is
below a directory that it matches; ``**`` spans directories. Pure: paths in, verdicts out. The
client uses it too, so nothing slow is imported.
"""

from __future__ import annotations

import posixpath
import re

from moorage.lib.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 1 << 20


class Pattern:
    """One line: *text* is cleaned and without the ``!``."""

    __slots__ = ("expression", "negated", "text")

    def __init__(self, text: str, expression: re.Pattern[str], *, negated: bool) -> None:
        self.text = text
        self.expression = expression
        self.negated = negated

    def matches(self, path: str) -> bool:
        """Say whether *path* itself or a directory above it matches."""
        if self.expression.match(path):
            return True
        end = path.rfind("/")
        while end > 0:
            if self.expression.match(path, 0, end):
                return True
            end = path.rfind("/", 0, end)
        return False


class Matcher:
    """All patterns of a file, in order."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compile; raises InvalidParameter for a malformed pattern."""
        self.patterns = tuple(_compile(text) for text in patterns)
        self._negations = tuple(p for p in self.patterns if p.negated)

    def excludes(self, path: str) -> bool:
        """Say whether the file or directory at *path* (relative, no ``./``) is left out."""
        return self.deciding(path) is not None

    def deciding(self, path: str) -> Pattern | None:
        """Return the pattern that leaves *path* out."""
        for pattern in reversed(self.patterns):
            if pattern.matches(path):
                return None if pattern.negated else pattern
        return None

    def prunes(self, directory: str) -> bool:
        """Say whether nothing below *directory* can be wanted, so that it need not be walked."""
        return self.excludes(directory) and not any(
            _may_reach(pattern.text, directory) for pattern in self._negations
        )


def parse(data: bytes) -> list[str]:
    """Return the patterns of a ``.dockerignore``, cleaned, ``!`` kept in front."""
    if len(data) > MAX_BYTES:
        raise InvalidParameter(f".dockerignore is too large: the limit is {MAX_BYTES} bytes")
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    patterns: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or raw.startswith("#"):
            continue
        bang = "!" if line.startswith("!") else ""
        cleaned = posixpath.normpath(line.removeprefix(bang).strip() or ".")
        cleaned = cleaned.lstrip("/") if len(cleaned) > 1 else cleaned
        patterns.append(bang + cleaned)
    return patterns


def _compile(text: str) -> Pattern:
    negated = text.startswith("!")
    body = text[1:].strip() if negated else text.strip()
    if negated and not body:
        raise InvalidParameter('illegal exclusion pattern: "!"')
    body = posixpath.normpath(body or ".").lstrip("/")
    try:
        expression = re.compile(translate(body), re.DOTALL)
    except re.error as error:
        raise InvalidParameter(f"syntax error in pattern: {body}") from error
    return Pattern(body, expression, negated=negated)


def translate(pattern: str) -> str:
    """Translate a pattern with ``**`` to an anchored regular expression."""
    out: list[str] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        index += 1
        if char == "*":
            if pattern.startswith("*", index):
                while pattern.startswith("*", index):
                    index += 1
                if pattern.startswith("/", index):
                    index += 1
                    out.append("(?:.*/)?")
                else:
                    out.append(".*")
            else:
                out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            piece, index = _character_class(pattern, index)
            out.append(piece)
        elif char == "\\" and index < len(pattern):
            out.append(re.escape(pattern[index]))
            index += 1
        else:
            out.append(re.escape(char))
    return "".join(out) + r"\Z"


def _character_class(pattern: str, index: int) -> tuple[str, int]:
    """Translate what follows a ``[``; an unclosed class is malformed."""
    start = index
    if pattern.startswith(("^", "!"), index):
        index += 1
    negated = index > start
    body: list[str] = []
    while index < len(pattern) and (pattern[index] != "]" or not body):
        char = pattern[index]
        if char == "\\" and index + 1 < len(pattern):
            index += 1
            body.append(re.escape(pattern[index]))
        elif char == "-" and body and pattern[index + 1 : index + 2] not in {"]", ""}:
            body.append("-")
        else:
            body.append(re.escape(char))
        index += 1
    if index >= len(pattern):
        raise InvalidParameter(f"syntax error in pattern: {pattern}")
    joined = "".join(body)
    return (f"[^/{joined}]" if negated else f"(?!/)[{joined}]"), index + 1


def _may_reach(pattern: str, directory: str) -> bool:
    """Say whether *pattern* might match something below *directory*."""
    for wanted, have in zip(pattern.split("/"), directory.split("/"), strict=False):
        if "**" in wanted:
            return True
        if not re.match(translate(wanted), have, re.DOTALL):
            return False
    return True
