"""Attach and exec: copying between a client's connection and the streams of a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from moorage.api.streams import stdcopy_frame, stdcopy_frames
from moorage.containers.detach_keys import DetachScanner
from moorage.containers.detach_keys import parse as parse_keys
from moorage.lib.tasks import Supervisor
from moorage.logs.selection import Run, Selection

if TYPE_CHECKING:
    from moorage.api.request import Duplex
    from moorage.containers.attach import Attached
    from moorage.containers.container import Container
    from moorage.containers.service import Containers
    from moorage.runtime.attachment import Attachment


class AttachOptions(Protocol):
    """The parameters of an attach."""

    @property
    def detach_keys(self) -> str:
        """Keys by which the client leaves; empty for the default."""
        ...

    @property
    def logs(self) -> bool:
        """Whether the log is replayed first."""
        ...

    @property
    def stream(self) -> bool:
        """Whether new output follows."""
        ...

    @property
    def stdin(self) -> bool:
        """Whether input is sent."""
        ...

    @property
    def stdout(self) -> bool:
        """Whether standard output is wanted."""
        ...

    @property
    def stderr(self) -> bool:
        """Whether standard error is wanted."""
        ...


@dataclass(slots=True)
class Session:
    """One client of a container's streams, before and after its connection is taken over."""

    container: Container
    keys: bytes
    logs: AsyncIterator[Run] | None
    attached: Attached | None

    async def close(self) -> None:
        """Let go of the streams."""
        if self.attached is not None:
            await self.attached.close()


async def open_session(containers: Containers, reference: str, options: AttachOptions) -> Session:
    """Check, and attach: from here on no output is missed.

    Raises: InvalidParameter (detach keys), NotFound, Conflict.
    """
    keys = parse_keys(options.detach_keys)
    container = containers.get(reference)
    logs = None
    if options.logs:
        wanted = Selection(stdout=options.stdout, stderr=options.stderr)
        logs = containers.logs(container.id, wanted)
    attached = None
    if options.stream:
        attached = await containers.attach(
            container, stdin=options.stdin, stdout=options.stdout, stderr=options.stderr
        )
    return Session(container, keys, logs, attached)


async def serve(containers: Containers, session: Session, duplex: Duplex, *, framed: bool) -> None:
    """Replay the log, then copy both ways until the process ends or the client leaves."""
    tty = session.container.record.config.tty
    try:
        with suppress(ConnectionError):
            if session.logs is not None:
                async for stream, texts in session.logs:
                    replay = stdcopy_frames(stream, texts) if framed else b"".join(texts)
                    await duplex.write(replay)
            attachment = await session.attached.wait() if session.attached else None
            if attachment is not None:
                keys = session.keys if tty else None
                if await copy(duplex, attachment, framed=framed, keys=keys):
                    containers.detached(session.container)
            await duplex.write_eof()
    finally:
        await session.close()


async def copy(duplex: Duplex, attachment: Attachment, *, framed: bool, keys: bytes | None) -> bool:
    """Copy both ways until the output ends.

    *keys*: sequence of the input by which the client leaves, None for none.
    Returns: whether the client left by it.
    Raises: ConnectionError (the client has gone).
    """
    copying = Supervisor("attach")
    output = copying.start(_copy_out(attachment, duplex, framed=framed), "output")
    entry = copying.start(_copy_in(duplex, attachment, keys), "input")
    try:
        await asyncio.wait({output, entry}, return_when=asyncio.FIRST_COMPLETED)
        if not output.done() and entry.result():
            return True
        await output
    finally:
        await copying.close()
    return False


async def _copy_out(attachment: Attachment, duplex: Duplex, *, framed: bool) -> None:
    while (read := await attachment.read()) is not None:
        stream, piece = read
        await duplex.write(stdcopy_frame(stream, piece) if framed else piece)


async def _copy_in(duplex: Duplex, attachment: Attachment, keys: bytes | None) -> bool:
    scanner = DetachScanner(keys) if keys else None
    with suppress(ConnectionError):  # the process does not read any more; its end comes
        while piece := await duplex.read():
            detached = False
            if scanner is not None:
                piece, detached = scanner.feed(piece)
            if piece:
                await attachment.write(piece)
            if detached:
                return True
        await attachment.close_stdin()
    return False
