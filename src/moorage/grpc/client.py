"""Makes calls over a connection whose other side serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from msgspec import Struct

from moorage.grpc import message
from moorage.grpc.connection import Connection, Stream
from moorage.grpc.status import CallFailed, Code

M = TypeVar("M", bound=Struct)


class Channel:
    """One side of a connection, to call the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def call(
        self, path: str, metadata: Iterable[tuple[str, str]] = ()
    ) -> AsyncIterator[Stream]:
        """Begin a call; leaving it early gives it up.

        Raises: ConnectionError.
        """
        stream = await self._connection.open(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "localhost"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", "moorage"),
                *metadata,
            ]
        )
        try:
            yield stream
        finally:
            await stream.reset()

    async def unary(
        self, path: str, request: Struct, answer: type[M], metadata: Iterable[tuple[str, str]] = ()
    ) -> M:
        """One request, one answer.

        Raises: CallFailed, ConnectionError, InvalidParameter (an answer that cannot be read).
        """
        async with self.call(path, metadata) as stream:
            await stream.send(message.encode(request), end=True)
            found = await stream.receive()
            await stream.outcome()
            if found is None:
                raise CallFailed(Code.INTERNAL, f"{path}: no answer")
            return message.decode(answer, found)
