"""``logs``: what the container has written, and what it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts


class LogQuery(Struct, frozen=True, kw_only=True):
    """What part of the log is wanted."""

    follow: bool = False
    stdout: bool = False
    stderr: bool = False
    since_ns: int = 0  # 0 = from the beginning
    until_ns: int = 0  # 0 = no end
    timestamps: bool = False
    details: bool = False
    tail: int | None = None  # lines; None = all


async def read(
    parts: Parts, container: Container, query: LogQuery
) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (1 stdout or 2 stderr, bytes).

    Raises: InvalidParameter, and what the driver says that cannot be read.
    """
    raise NotImplementedError
    yield 1, b""
