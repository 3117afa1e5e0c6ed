"""``attach``: a client's connection to the streams of a container, running or about to start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from moorage.containers.process_io import WaitingClient
from moorage.containers.state import State
from moorage.lib.errors import Conflict

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts
    from moorage.runtime.attachment import Attachment


class Attached:
    """A client that is attached, or waits for the start."""

    def __init__(self, container: Container, client: WaitingClient) -> None:
        self._container = container
        self._client = client

    async def wait(self) -> Attachment | None:
        """Return the streams once there are any; None if the container never started."""
        return await self._client.attachment

    async def close(self) -> None:
        """Let go, attached or not."""
        if self._client in self._container.waiting_clients:
            self._container.waiting_clients.remove(self._client)
        if not self._client.attachment.done():
            self._client.attachment.cancel()
        elif not self._client.attachment.cancelled():
            attachment = self._client.attachment.result()
            if attachment is not None:
                await attachment.close()


async def attach(
    parts: Parts, container: Container, *, stdin: bool, stdout: bool, stderr: bool
) -> Attached:
    """Attach to a running container now, to one that does not run at its next start.

    Events: ``attach``.
    Raises: Conflict (paused, restarting).
    """
    if container.state is State.PAUSED:
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if container.state is State.RESTARTING:
        raise Conflict(
            f"container {container.id} is restarting, wait until the container is running"
        )
    client = WaitingClient(
        stdin=stdin and container.record.config.open_stdin,
        stdout=stdout,
        stderr=stderr,
        attachment=asyncio.get_running_loop().create_future(),
    )
    if container.task is not None and container.alive:
        client.attachment.set_result(
            await container.task.attach(
                stdin=client.stdin, stdout=client.stdout, stderr=client.stderr
            )
        )
    else:
        container.waiting_clients.append(client)
    parts.announce(container, "attach")
    return Attached(container, client)
