"""Which variables a stage sees: ARG, ENV, predefined and platform arguments, the client's values.

ENV hides an ARG of the same name. A stage based on another has its ARGs too. A predefined proxy
variable needs no ARG, reaches commands, and counts neither for the history nor for the cache.
Platform arguments exist before the first FROM; a stage sees them after it has declared them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from moorage.build.frontends.dockerfile import expansion
from moorage.build.frontends.dockerfile.expansion import Expanded
from moorage.spec.platforms import Platform

PROXIES: Final = tuple(
    form
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for form in (name, name.lower())
)
BUILTIN: Final = frozenset(
    {
        *PROXIES,
        "BUILDKIT_CACHE_MOUNT_NS",
        "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
        "BUILDKIT_DOCKERFILE_CHECK",
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_MULTI_PLATFORM",
        "BUILDKIT_SANDBOX_HOSTNAME",
        "BUILDKIT_SYNTAX",
        "SOURCE_DATE_EPOCH",
    }
)

OnUnset = Callable[[str, Mapping[str, str]], None]


def platform_args(build: Platform, target: Platform, stage: str) -> dict[str, str]:
    """Return the automatic platform arguments."""
    return {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.os,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }


class Scope:
    """The variables of one stage, changing as its instructions are read."""

    def __init__(
        self,
        *,
        escape: str,
        given: Mapping[str, str | None],
        inherited: Mapping[str, str],
        on_unset: OnUnset,
    ) -> None:
        self.escape = escape
        self.environment: dict[str, str] = {}
        self.arguments: dict[str, str | None] = {}
        self._given = given
        self._inherited = inherited  # global ARGs and platform arguments
        self._on_unset = on_unset
        self.consumed: set[str] = set()

    def variables(self) -> dict[str, str]:
        """Return what an expansion may use."""
        declared = {name: value for name, value in self.arguments.items() if value is not None}
        return {**declared, **self.environment}

    def expand(self, text: str) -> str:
        """Expand one word. Raises: SyntaxFault."""
        return self._expanded(text).text

    def expand_words(self, text: str) -> tuple[str, ...]:
        """Expand to any number of words. Raises: SyntaxFault."""
        return self._expanded(text).words

    def expand_body(self, text: str) -> str:
        """Expand the body of a here-document. Raises: SyntaxFault."""
        return expansion.expand_raw(text, self.variables(), escape=self.escape)

    def _expanded(self, text: str) -> Expanded:
        if "$" not in text and self.escape not in text and '"' not in text and "'" not in text:
            return Expanded(text, tuple(text.split()), frozenset(), frozenset())
        variables = self.variables()
        found = expansion.expand(text, variables, escape=self.escape)
        for name in sorted(found.unset):
            if name not in self.arguments:
                self._on_unset(name, variables)
        return found

    def declare(self, name: str, default: str | None) -> str | None:
        """``ARG name[=default]``: return the value it brings; without one an earlier one stays."""
        value = self._given.get(name)
        if value is not None:
            self.consumed.add(name)
        elif default is not None:
            value = default
        else:
            value = self._inherited.get(name)
        if value is not None or name not in self.arguments:
            self.arguments[name] = value
        return value

    def proxies(self) -> tuple[str, ...]:
        """Return the predefined proxy variables that were given, as ``NAME=value``."""
        return tuple(
            f"{name}={value}"
            for name in PROXIES
            if name not in self.arguments
            and name not in self.environment
            and (value := self._given.get(name))
        )

    def shown_arguments(self) -> list[str]:
        """Return all declared arguments as the history of a RUN shows them."""
        return [
            f"{name}={self.environment.get(name, value or '')}"
            for name, value in self.arguments.items()
        ]

    def run_arguments(self) -> list[str]:
        """Return the declared arguments with a value that ENV does not hide, sorted."""
        return sorted(
            f"{name}={value}"
            for name, value in self.arguments.items()
            if value is not None and name not in self.environment
        )
