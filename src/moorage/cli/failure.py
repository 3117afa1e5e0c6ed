"""Failures that travel inside the client."""

from __future__ import annotations


class CommandError(Exception):
    """A command failed: what to print, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class FunctionError(Exception):
    """A field or function of a template does not fit; the executor adds where."""
