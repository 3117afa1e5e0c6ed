"""The ``filters`` query parameter: ``{"label": ["a=b"]}``; older: ``{"label": {"a=b": true}}``.

In the older form it is the key that counts, as in dockerd, whatever stands behind it.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Collection, Mapping

import msgspec

from moorage.lib.errors import InvalidParameter


class Filters:
    """Conditions by name; values of one name are alternatives, names are joined by *and*."""

    def __init__(self, terms: Mapping[str, list[str]] | None = None) -> None:
        self.terms: dict[str, list[str]] = dict(terms or {})

    @classmethod
    def parse(cls, text: str | None) -> Filters:
        """Decode the query parameter.

        Raises: InvalidParameter.
        """
        if not text:
            return cls()
        try:
            raw = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]] | None)
        except msgspec.DecodeError as error:
            raise InvalidParameter(f"invalid filter: {error}") from error
        return cls({name: list(values) for name, values in (raw or {}).items()})

    def require_known(self, known: Collection[str]) -> None:
        """Refuse names outside *known*.

        Raises: InvalidParameter, with Docker's sentence.
        """
        for name in self.terms:
            if name not in known:
                raise InvalidParameter(
                    f"invalid filter '{name}'", hint="known here: " + ", ".join(sorted(known))
                )

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return bool(self.terms)

    def __contains__(self, name: object) -> bool:
        """Whether *name* is filtered on."""
        return name in self.terms

    def get(self, name: str) -> list[str]:
        """Return the alternatives of *name*; empty if it is not filtered on."""
        return self.terms.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean filter such as ``dangling``.

        Raises: InvalidParameter, on anything but one of Go's spellings.
        """
        values = self.get(name)
        if not values:
            return default
        if len(set(values)) == 1:
            if values[0] in {"1", "t", "T", "true", "True", "TRUE"}:
                return True
            if values[0] in {"0", "f", "F", "false", "False", "FALSE"}:
                return False
        shown = " ".join(values)
        raise InvalidParameter(f"invalid filter '{name}=[{shown}]'", hint="give true or false")

    def exact(self, name: str, value: str) -> bool:
        """Whether *value* equals one of the alternatives, or *name* is not filtered on."""
        return name not in self.terms or value in self.terms[name]

    def match(self, name: str, value: str) -> bool:
        """Whether one of the alternatives is *value*, or is found in it as a regular expression.

        One that is no regular expression is looked for as it stands.
        """
        return name not in self.terms or any(
            wanted == value or _pattern(wanted).search(value) for wanted in self.terms[name]
        )

    def prefix(self, name: str, value: str) -> bool:
        """Whether *value* begins with one of the alternatives, or *name* is not filtered on."""
        return name not in self.terms or any(value.startswith(w) for w in self.terms[name])

    def glob(self, name: str, value: str) -> bool:
        """Whether *value* matches one of the patterns, or *name* is not filtered on."""
        return name not in self.terms or any(
            fnmatch.fnmatchcase(value, wanted) for wanted in self.terms[name]
        )

    def labels(self, labels: Mapping[str, str] | None, name: str = "label") -> bool:
        """Whether all of the conditions ``key`` or ``key=value`` hold for *labels*."""
        have = labels or {}
        for wanted in self.get(name):
            key, equals, value = wanted.partition("=")
            if key not in have or (equals and have[key] != value):
                return False
        return True


@functools.lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error:
        return re.compile(re.escape(text))
