"""``WWW-Authenticate`` as RFC 9110 writes it and as registries use it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME: Final = re.compile(rf"\s*,*\s*({_WORD})(?=\s|,|\Z)")
_PARAMETER: Final = re.compile(rf'\s*,*\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_ESCAPE: Final = re.compile(r"\\(.)")


class Challenge(Struct, frozen=True):
    """One way to authenticate: ``bearer`` with realm, service, scope; or ``basic``."""

    scheme: str  # lower case
    parameters: dict[str, str]  # keys in lower case


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Parse the header's values; what cannot be understood ends the value it stands in."""
    found: list[Challenge] = []
    for text in headers:
        position = 0
        while scheme := _SCHEME.match(text, position):
            position = scheme.end()
            parameters: dict[str, str] = {}
            while pair := _PARAMETER.match(text, position):
                name, quoted, plain = pair.groups()
                parameters[name.lower()] = plain or _ESCAPE.sub(r"\1", quoted or "")
                position = pair.end()
            found.append(Challenge(scheme[1].lower(), parameters))
    return found


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the challenge to answer: bearer before basic, as Docker prefers."""
    by_scheme = {challenge.scheme: challenge for challenge in challenges}
    bearer = by_scheme.get("bearer")
    if bearer is not None and bearer.parameters.get("realm"):
        return bearer
    return by_scheme.get("basic")
