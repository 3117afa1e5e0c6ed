"""Flags of instructions: ``--name``, ``--name=value``, repeated where allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from moorage.build.frontends.dockerfile.source import SyntaxFault, did_you_mean

BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "t", "T", "TRUE", "True"), True),
    **dict.fromkeys(("false", "0", "f", "F", "FALSE", "False"), False),
}


class Kind(Enum):
    """What a flag takes."""

    BOOLEAN = "boolean"
    STRING = "string"
    STRINGS = "strings"  # may be repeated


KNOWN: Final[Mapping[str, Mapping[str, Kind]]] = {
    "FROM": {"platform": Kind.STRING},
    "COPY": {
        "from": Kind.STRING,
        "chown": Kind.STRING,
        "chmod": Kind.STRING,
        "link": Kind.BOOLEAN,
        "parents": Kind.BOOLEAN,
        "exclude": Kind.STRINGS,
    },
    "ADD": {
        "keep-git-dir": Kind.BOOLEAN,
        "checksum": Kind.STRING,
        "chown": Kind.STRING,
        "chmod": Kind.STRING,
        "link": Kind.BOOLEAN,
        "unpack": Kind.BOOLEAN,
        "exclude": Kind.STRINGS,
    },
    "RUN": {
        "mount": Kind.STRINGS,
        "network": Kind.STRING,
        "security": Kind.STRING,
        "device": Kind.STRINGS,
    },
    "HEALTHCHECK": {
        "interval": Kind.STRING,
        "timeout": Kind.STRING,
        "start-period": Kind.STRING,
        "start-interval": Kind.STRING,
        "retries": Kind.STRING,
    },
}


class Flags:
    """The flags given to one instruction."""

    def __init__(self, keyword: str, given: Iterable[str]) -> None:
        """Parse; raises SyntaxFault for an unknown, repeated or badly valued flag."""
        self._values: dict[str, list[str]] = {}
        known = KNOWN.get(keyword, {})
        for flag in given:
            name, equals, value = flag.removeprefix("--").partition("=")
            kind = known.get(name)
            if kind is None:
                hint = did_you_mean(f"--{name}", [f"--{flag}" for flag in known])
                raise SyntaxFault(
                    f"unknown flag: --{name}",
                    hint=hint or (f"{keyword} takes {_listed(known)}" if known else None),
                )
            if name in self._values and kind is not Kind.STRINGS:
                raise SyntaxFault(f"duplicate flag specified: {name}")
            if kind is Kind.BOOLEAN:
                value = value if equals else "true"
                if value not in BOOLEANS:
                    raise SyntaxFault(f"expecting boolean value for flag {name}, not: {value}")
            elif not equals:
                raise SyntaxFault(f"missing a value on flag: {name}")
            self._values.setdefault(name, []).append(value)

    def string(self, name: str) -> str:
        """Return the value, empty if the flag is absent."""
        return self._values.get(name, [""])[-1]

    def strings(self, name: str) -> tuple[str, ...]:
        """Return all values of a repeatable flag."""
        return tuple(self._values.get(name, ()))

    def boolean(self, name: str) -> bool | None:
        """Return the value; None if the flag is absent."""
        return BOOLEANS[self._values[name][-1]] if name in self._values else None


def _listed(known: Mapping[str, Kind]) -> str:
    return ", ".join(f"--{name}" for name in known)
