"""Connections need ``h2``."""

from __future__ import annotations

from support import needs

collect_ignore = needs.unless_installed("h2", "test_connection.py")
