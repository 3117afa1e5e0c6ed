"""One daemon of the host at a time chooses names and subnets, until it has made its bridge.

What is free is read from the kernel; two daemons that start together would read the same.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from moorage.lib import offload

LOCK: Final = Path("/run/moorage-networks.lock")


@asynccontextmanager
async def choosing() -> AsyncIterator[None]:
    """Hold the lock of the host; the kernel lets go if the daemon dies."""
    fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await offload.run("net", fcntl.flock, fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
