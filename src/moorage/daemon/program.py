"""The start of ``moord``: what must be settled before anything large is loaded."""

from __future__ import annotations

from typing import NoReturn

from moorage.daemon import seldom
from moorage.lib import heap, later, latetls


def main() -> NoReturn:
    """Run the daemon in little memory."""
    heap.share_one_arena()
    later.defer(seldom.MODULES, seldom.AT_IMPORT)
    later.load_without("msgspec", "typing_extensions")  # ``typing`` has what it wants of it
    latetls.load_asyncio()
    from moorage.daemon.main import main as run  # noqa: PLC0415 - it loads asyncio

    run()
