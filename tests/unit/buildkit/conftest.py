"""All of this needs ``h2``."""

from __future__ import annotations

from support import needs

collect_ignore_glob = needs.unless_installed("h2", "test_*.py")
