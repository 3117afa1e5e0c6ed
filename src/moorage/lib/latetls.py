"""OpenSSL for Python, loaded when TLS is first spoken: it costs four megabytes.

asyncio loads it whether it is wanted or not; ``load_asyncio`` keeps it out, ``load`` lets it in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from moorage.lib import later

if TYPE_CHECKING:
    from types import ModuleType


def load_asyncio() -> None:
    """Import asyncio, before anything else does, as if this Python had no ``ssl``."""
    later.load_without("asyncio", "ssl")


def load() -> ModuleType:
    """Return the module ``ssl``; from then on asyncio's connections can speak TLS."""
    found = importlib.import_module("ssl")
    tls = importlib.import_module("asyncio.sslproto")
    if tls.ssl is None:
        for name in ("base_events", "selector_events"):
            vars(importlib.import_module(f"asyncio.{name}"))["ssl"] = found
        importlib.reload(tls)  # others find its classes through the module, which stays the same
    return found
