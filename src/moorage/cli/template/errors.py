"""What can go wrong with a template, in Go's words."""

from __future__ import annotations


class ParseError(Exception):
    """The text is no template."""


class ExecuteError(Exception):
    """The template does not fit the value."""
