"""Words of a Dockerfile line: where they end, and what they are without their quotes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SPACE: Final = " \t\n\r\v\f"


def end_of_word(text: str, escape: str, start: int = 0) -> int:
    """Return the index behind the word at *start*; quotes and escapes hold it together."""
    quote = ""
    index = start
    while index < len(text):
        char = text[index]
        if char == escape and quote != "'":
            index += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in SPACE:
            break
        index += 1
    return min(index, len(text))


def iterate(text: str, escape: str) -> Iterator[str]:
    """Yield the words of *text*, quotes kept."""
    index = 0
    while index < len(text):
        if text[index] in SPACE:
            index += 1
            continue
        end = end_of_word(text, escape, index)
        yield text[index:end]
        index = end


def split(text: str, escape: str) -> list[str]:
    """Return the words of *text*, quotes kept."""
    return list(iterate(text, escape))


def unquote(word: str, escape: str) -> str:
    """Take quotes and escapes off *word*, expanding nothing."""
    out: list[str] = []
    quote = ""
    index = 0
    while index < len(word):
        char = word[index]
        index += 1
        if char == escape and quote != "'" and index < len(word):
            following = word[index]
            if quote != '"' or following in f'"{escape}$':
                char = following
                index += 1
            out.append(char)
        elif quote:
            if char == quote:
                quote = ""
            else:
                out.append(char)
        elif char in "'\"":
            quote = char
        else:
            out.append(char)
    return "".join(out)
