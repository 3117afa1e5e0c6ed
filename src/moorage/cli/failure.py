"""Failures that travel inside the client."""

from __future__ import annotations


class CommandError(Exception):
    """A command failed: what to print, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class ForcedEnd(CommandError):
    """The user asked for an end so often that the container is left to itself."""


class TemplateError(CommandError):
    """A ``--format`` that is no template, or does not fit; *reason* in Go's words."""

    def __init__(self, reason: str, *, parsed: bool) -> None:
        super().__init__(f"template parsing error: {reason}")
        self.reason = reason
        self.parsed = parsed


class FunctionError(Exception):
    """A field or function of a template does not fit; the executor adds where."""
