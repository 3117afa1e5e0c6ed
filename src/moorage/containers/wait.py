"""``wait``: the end of a container, its next end, or its removal."""

from __future__ import annotations

import asyncio

from moorage.containers.container import Container, Ended
from moorage.lib.errors import InvalidParameter


def wait(container: Container, condition: str) -> asyncio.Future[Ended]:
    """Return a future that is already counted when this returns: no end can be missed.

    Raises: InvalidParameter (unknown condition).
    """
    if condition in {"", "not-running"}:
        if container.active:
            return container.waiters.next_exit()
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        ended.set_result(Ended(container.record.exit_code, container.record.error))
        return ended
    if condition == "next-exit":
        return container.waiters.next_exit()
    if condition == "removed":
        return container.waiters.removal()
    raise InvalidParameter(f'invalid condition: "{condition}"')
