"""The start of ``moord``: what must be settled before anything large is loaded."""

from __future__ import annotations

from typing import NoReturn

from moorage.lib import heap, later, latetls


def main() -> NoReturn:
    """Run the daemon in little memory."""
    heap.share_one_arena()
    later.defer()
    latetls.load_asyncio()
    from moorage.daemon.main import main as run  # noqa: PLC0415 - it loads asyncio

    run()
