"""All containers of the daemon: the operations of the Engine API, composed.

Changes of state run to their end although the client hangs up; reads and streams end with it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from moorage.containers import (
    archive,
    attach,
    changes,
    commit,
    create,
    inspect,
    kill,
    lifecycle,
    logs,
    networking,
    pause,
    prune,
    recover,
    remove,
    rename,
    shutdown,
    stats,
    stop,
    terminal,
    top,
    update,
    wait,
)
from moorage.containers import health as healthchecks
from moorage.containers import list as listing
from moorage.containers.container import Container, Ended
from moorage.containers.exec import Execs
from moorage.containers.files import write_name_files
from moorage.containers.parts import Parts
from moorage.images.image import ImageUse
from moorage.lib import tasks
from moorage.lib.errors import MoorageError

if TYPE_CHECKING:
    from moorage.containers.attach import Attached
    from moorage.containers.commit import CommitOptions
    from moorage.images.image import Image
    from moorage.logs.selection import Run, Selection
    from moorage.networks.values import NameFiles
    from moorage.spec.engine.container import (
        ContainerConfig,
        ContainerCreateResponse,
        ContainerInspectResponse,
        ContainerPathStat,
        ContainerPruneResponse,
        ContainerSummary,
        ContainerTopResponse,
        ContainerUpdate,
        FilesystemChange,
    )
    from moorage.spec.engine.filters import Filters
    from moorage.spec.engine.hostconfig import HostConfig
    from moorage.spec.engine.network import EndpointSettings
    from moorage.spec.engine.stats import ContainerStatsResponse
    from moorage.spec.platforms import Platform


class Containers:
    """One for the daemon; ``open`` before use."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.execs = Execs(parts)
        parts.execs = self.execs
        parts.on_unhealthy = self._unhealthy

    async def open(self) -> None:
        """Adopt what runs, finish what was cut off, start what its policy says."""
        self.parts.runtime.selinux.holders.append(self._mount_labels)
        await recover.recover(self.parts)
        self.parts.networks.on_name_files = self._rewrite_name_files
        _ = self.parts.supervisor.start(recover.start_by_policy(self.parts), "start by policy")

    def _mount_labels(self) -> Iterator[str]:
        """Yield the labels that are given to containers, running or not."""
        return (container.record.mount_label for container in self.parts.store.every())

    async def close(self) -> None:
        """Stop all containers in parallel, unless they are to outlive the daemon."""
        await shutdown.close(self.parts)

    @property
    def closing_limit_s(self) -> float | None:
        """How long the end of the daemon may take; None for ever."""
        return shutdown.limit_s(self.parts)

    def get(self, reference: str) -> Container:
        """Find a container. Raises: NotFound, InvalidParameter (ambiguous)."""
        return self.parts.store.get(reference)

    # -- changes of state ------------------------------------------------------------------------

    async def create(
        self,
        *,
        name: str,
        config: ContainerConfig,
        host_config: HostConfig,
        endpoints: dict[str, EndpointSettings],
        platform: Platform | None = None,
    ) -> ContainerCreateResponse:
        """Create a container; see ``create.create``."""
        work = create.create(
            self.parts,
            name=name,
            config=config,
            host_config=host_config,
            endpoints=endpoints,
            platform=platform,
        )
        return await tasks.finish(work, self.parts.supervisor, "create")

    async def start(self, reference: str) -> bool:
        """Start; returns whether it was not running."""
        container = self.get(reference)
        return await tasks.finish(
            lifecycle.start(self.parts, container), self.parts.supervisor, "start"
        )

    async def stop(self, reference: str, *, signal: str | None, timeout_s: int | None) -> bool:
        """Stop; returns whether it was running."""
        work = stop.stop(self.parts, self.get(reference), signal=signal, timeout_s=timeout_s)
        return await tasks.finish(work, self.parts.supervisor, "stop")

    async def restart(self, reference: str, *, signal: str | None, timeout_s: int | None) -> None:
        """Stop if it runs, then start."""
        work = stop.restart(self.parts, self.get(reference), signal=signal, timeout_s=timeout_s)
        await tasks.finish(work, self.parts.supervisor, "restart")

    async def kill(self, reference: str, signal: str) -> None:
        """Send a signal."""
        try:
            work = kill.kill(self.parts, self.get(reference), signal)
            await tasks.finish(work, self.parts.supervisor, "kill")
        except MoorageError as error:
            error.message = f"cannot kill container: {reference}: {error.message}"
            raise

    async def pause(self, reference: str) -> None:
        """Freeze."""
        work = pause.pause(self.parts, self.get(reference))
        await tasks.finish(work, self.parts.supervisor, "pause")

    async def unpause(self, reference: str) -> None:
        """Thaw."""
        work = pause.unpause(self.parts, self.get(reference))
        await tasks.finish(work, self.parts.supervisor, "unpause")

    async def rename(self, reference: str, name: str) -> None:
        """Give another name."""
        work = rename.rename(self.parts, self.get(reference), name)
        await tasks.finish(work, self.parts.supervisor, "rename")

    async def update(self, reference: str, asked: ContainerUpdate) -> list[str]:
        """Change limits and restart policy; returns warnings."""
        work = update.update(self.parts, self.get(reference), asked)
        return await tasks.finish(work, self.parts.supervisor, "update")

    async def connect(
        self, network: str, reference: str, settings: EndpointSettings | None
    ) -> None:
        """Connect to a network; see ``networking.connect``."""
        work = networking.connect(self.parts, self.get(reference), network, settings)
        await tasks.finish(work, self.parts.supervisor, "connect")

    async def disconnect(self, network: str, reference: str, *, force: bool) -> None:
        """Take off a network; see ``networking.disconnect``."""
        work = networking.disconnect(self.parts, self.get(reference), network, force=force)
        await tasks.finish(work, self.parts.supervisor, "disconnect")

    async def remove(self, reference: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Remove a container, or only the link ``parent/alias``."""
        if link:
            work = remove.remove_link(self.parts, reference)
        else:
            container = self.get(reference)
            work = remove.remove(self.parts, container, force=force, volumes=volumes)
        await tasks.finish(work, self.parts.supervisor, "remove")

    async def prune(self, filters: Filters) -> ContainerPruneResponse:
        """Remove what does not run."""
        return await tasks.finish(
            prune.prune(self.parts, filters), self.parts.supervisor, "container prune"
        )

    async def commit(self, reference: str, options: CommitOptions) -> Image:
        """Make an image of what it changed."""
        work = commit.commit(self.parts, self.get(reference), options)
        return await tasks.finish(work, self.parts.supervisor, "commit")

    # -- reads -----------------------------------------------------------------------------------

    def wait(self, reference: str, condition: str) -> asyncio.Future[Ended]:
        """Return a future for the end or the removal; nothing is missed from now on."""
        return wait.wait(self.get(reference), condition)

    async def list_all(
        self, filters: Filters, *, every: bool, limit: int, size: bool
    ) -> list[ContainerSummary]:
        """Return the containers, newest first."""
        return await listing.list_all(self.parts, filters, every=every, limit=limit, size=size)

    async def inspect(self, reference: str, *, size: bool) -> ContainerInspectResponse:
        """Return one container in full."""
        return await inspect.inspect(self.parts, self.get(reference), size=size)

    async def top(self, reference: str, ps_args: str) -> ContainerTopResponse:
        """Return its processes."""
        return await top.top(self.parts, self.get(reference), ps_args)

    async def changes(self, reference: str) -> list[FilesystemChange]:
        """Return what differs from the image."""
        return await changes.changes(self.parts, self.get(reference))

    async def stats(self, reference: str, *, one_shot: bool) -> ContainerStatsResponse:
        """Return one reading."""
        return await stats.once(self.get(reference), one_shot=one_shot)

    def follow_stats(self, reference: str) -> AsyncIterator[ContainerStatsResponse]:
        """Return a reading every second."""
        return stats.follow(self.parts, self.get(reference))

    def logs(self, reference: str, selection: Selection) -> AsyncIterator[Run]:
        """Return the records of the log, after it is known that it can be read."""
        return logs.read(self.get(reference), selection)

    # -- streams ---------------------------------------------------------------------------------

    async def attach(
        self, container: Container, *, stdin: bool, stdout: bool, stderr: bool
    ) -> Attached:
        """Connect to its streams."""
        return await attach.attach(self.parts, container, stdin=stdin, stdout=stdout, stderr=stderr)

    def detached(self, container: Container) -> None:
        """Note that a client left by the detach keys. Events: ``detach``."""
        self.parts.announce(container, "detach")

    async def resize(self, reference: str, height: int, width: int) -> None:
        """Set the size of its terminal. Events: ``resize``.

        Raises: InvalidParameter (no size of a terminal), NotFound, Conflict (not running).
        """
        container = self.get(reference)
        await container.running_task().resize(*terminal.size((height, width)))
        self.parts.announce(container, "resize", height=str(height), width=str(width))

    def export(self, reference: str) -> AsyncIterator[bytes]:
        """Return its file system as a tar."""
        return changes.export(self.parts, self.get(reference))

    async def archive_info(self, reference: str, path: str) -> ContainerPathStat:
        """Return what a path is. Raises: InvalidParameter (no path), NotFound."""
        archive.require(path)
        return await archive.info(self.parts, self.get(reference), path, reference)

    def get_archive(self, reference: str, path: str) -> AsyncIterator[bytes]:
        """Return a path as a tar."""
        return archive.get(self.parts, self.get(reference), path)

    async def put_archive(
        self,
        reference: str,
        path: str,
        content: AsyncIterator[bytes],
        *,
        keep_kinds: bool,
        owner_of_container: bool,
    ) -> None:
        """Unpack a tar below a path. Raises: InvalidParameter (no path), and as ``archive.put``."""
        archive.require(path)
        await archive.put(
            self.parts,
            self.get(reference),
            path,
            content,
            shown=reference,
            keep_kinds=keep_kinds,
            owner_of_container=owner_of_container,
        )

    # -- for neighbours --------------------------------------------------------------------------

    def using(self, image_id: str) -> list[ImageUse]:
        """Return the containers made from an image, unfinished ones too."""
        return [
            ImageUse(container.id, container.active)
            for container in self.parts.store.every()
            if container.record.image_id == image_id
            or any(m.type == "image" and m.source == image_id for m in container.record.mounts)
        ]

    def count_by_image(self) -> Counter[str]:
        """Return how many containers are made from each image, by its id."""
        return Counter(
            image_id
            for container in self.parts.store.every()
            for image_id in {
                container.record.image_id,
                *(m.source for m in container.record.mounts if m.type == "image"),
            }
        )

    # -- inside ----------------------------------------------------------------------------------

    def _rewrite_name_files(self, container_id: str, files: NameFiles) -> None:
        """Let a running container see what changed in its networks."""
        write_name_files(self.parts.directory(container_id), files)

    def _unhealthy(self, container: Container) -> None:
        """Do what the container asks for when its health check fails (moby#28400)."""
        record = container.record
        wish = (record.host_config.annotations or {}).get(healthchecks.ON_FAILURE) or (
            record.config.labels or {}
        ).get(healthchecks.ON_FAILURE, "")
        if wish == "restart":
            work = self.restart(container.id, signal=None, timeout_s=None)
        elif wish == "stop":
            work = self._stop_unhealthy(container)
        elif wish == "kill":
            work = lifecycle.kill_unhealthy(container)
        else:
            return
        _ = self.parts.supervisor.start(work, f"unhealthy {container.id[:12]}")

    async def _stop_unhealthy(self, container: Container) -> None:
        await self.stop(container.id, signal=None, timeout_s=None)
