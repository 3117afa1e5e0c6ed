"""``commit``: an image of what a container changed, on top of the image it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from moorage.containers import pause
from moorage.containers.merge import environment
from moorage.containers.state import State
from moorage.images import changes as instructions
from moorage.images.importing import from_layer
from moorage.lib import clock, offload
from moorage.lib.errors import Conflict, MoorageError
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.oci.image import ContainerConfig as ImageRunConfig
from moorage.spec.oci.image import History, ImageConfig
from moorage.spec.reference import Reference
from moorage.storage.archive.chunks import as_file

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts
    from moorage.images.image import Image
    from moorage.storage.layers import Layer
    from moorage.storage.leases import Lease


class CommitOptions(Struct, frozen=True, kw_only=True):
    """What the request says."""

    name: Reference | None = None
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: Sequence[str] = ()
    config: ContainerConfig = ContainerConfig()  # what it names goes before the container's own


async def commit(parts: Parts, container: Container, options: CommitOptions) -> Image:
    """Make an image; a running container is frozen meanwhile unless *options* say otherwise.

    Events: ``pause`` and ``unpause`` if so, ``commit``; ``tag`` of the image.
    Raises: InvalidParameter (changes), Conflict (being removed), System.
    """
    if container.state in {State.REMOVING, State.DEAD}:
        raise Conflict(
            f"You cannot commit container {container.id} which is being removed or is dead"
        )
    own = run_config(container.record.config, options.config)
    run = instructions.apply(own, options.changes)
    async with AsyncExitStack() as undo:
        if options.pause and container.state is State.RUNNING:
            with suppress(Conflict):  # it has ended by itself, and is as still as can be
                await pause.pause(parts, container, thaws=True)
                undo.push_async_callback(_thaw, parts, container)
        try:
            image = await offload.run("fs", _commit, parts, container, options, run)
        except (MoorageError, OSError):
            await offload.run("fs", parts.image_parts.collect)  # the layer may be there already
            raise
    reference = options.name.familiar if options.name else ""
    if reference:
        parts.image_parts.announce("tag", image.id, reference)
    parts.announce(
        container, "commit", comment=options.comment, imageID=image.id, imageRef=reference
    )
    return image


async def _thaw(parts: Parts, container: Container) -> None:
    with suppress(Conflict):  # somebody else has thawed it, or killed it
        await pause.unpause(parts, container)


def _commit(
    parts: Parts, container: Container, options: CommitOptions, run: ImageRunConfig
) -> Image:
    record = container.record
    base = parts.images.find(record.image_id)
    now = clock.rfc3339(clock.now_ns())
    host = parts.images.host
    config = base.config if base else ImageConfig(architecture=host.architecture, os=host.os)
    with parts.image_parts.leases.acquire("commit") as lease:
        layer = _layer(parts, container, base, lease)
        failpoint("containers.commit.after_layer")
        return from_layer(
            parts.image_parts,
            base=base,
            layer=layer,
            config=structs.replace(
                config, created=now, author=options.author, comment=options.comment, config=run
            ),
            step=History(
                created=now,
                created_by=" ".join(record.config.cmd or []),
                author=options.author,
                comment=options.comment,
            ),
            name=options.name,
        )


def _layer(parts: Parts, container: Container, base: Image | None, lease: Lease) -> Layer | None:
    """Return a layer of the changes, None if there are none."""
    layers = parts.layers
    if not layers.changes(container.id):
        return None
    parent = base.chain_id if base else None
    with as_file(layers.diff(container.id)) as tar:
        staged = layers.stage(tar, keep=lease.add)
    lease.add(digests.chain_id(parent, staged.diff_id))
    lease.add(staged.diff_id)
    return layers.adopt(staged, parent)


def run_config(own: ContainerConfig, given: ContainerConfig) -> ImageRunConfig:
    """Return a container's configuration as an image's; what *given* names goes first (pure)."""
    return ImageRunConfig(
        user=given.user or own.user,
        exposed_ports={**(own.exposed_ports or {}), **(given.exposed_ports or {})} or None,
        env=environment(given.env, own.env) or None,
        cmd=given.cmd or own.cmd,
        healthcheck=given.healthcheck or own.healthcheck,
        volumes={**(own.volumes or {}), **(given.volumes or {})} or None,
        working_dir=given.working_dir or own.working_dir,
        entrypoint=given.entrypoint or own.entrypoint,
        on_build=given.on_build or own.on_build,
        labels={**(own.labels or {}), **(given.labels or {})} or None,
        stop_signal=given.stop_signal or own.stop_signal or "",
        stop_timeout=given.stop_timeout if given.stop_timeout is not None else own.stop_timeout,
        shell=given.shell or own.shell,
    )
