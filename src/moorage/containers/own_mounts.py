"""What a container's mounts need before it can start: volumes of their own, with the image's files.

What must be brought up anew at each start is in ``prepare``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from msgspec import structs

from moorage.containers import prepare
from moorage.containers.parts import Parts
from moorage.containers.record import MountRecord
from moorage.lib import offload
from moorage.lib.errors import InvalidParameter, NotFound


async def make(
    parts: Parts, container_id: str, mounts: Iterable[MountRecord], undo: AsyncExitStack
) -> list[MountRecord]:
    """Create or take the volumes; bind sources by ``--mount`` must exist.

    Raises: InvalidParameter, Conflict, NotFound (a volume's driver).
    """
    made: list[MountRecord] = []
    for mount in mounts:
        if mount.type == "volume":
            made.append(await _make_volume(parts, container_id, mount, undo))
            continue
        await check_source(mount)
        made.append(mount)
    return made


async def check_source(mount: MountRecord) -> None:
    """Refuse a bind by ``--mount`` of what does not exist. Raises: InvalidParameter."""
    if mount.type == "bind" and not mount.create_source:
        await offload.run_disposable(prepare.require_source, mount)


async def _make_volume(
    parts: Parts, container_id: str, mount: MountRecord, undo: AsyncExitStack
) -> MountRecord:
    options = mount.spec.volume_options if mount.spec else None
    driver = options.driver_config if options else None
    new = not mount.name
    volume = await parts.volumes.create(
        mount.name,
        driver=mount.driver if mount.driver != "local" else "",
        options=driver.options if driver else None,
        labels=options.labels if options else None,
        container_id=container_id,
    )
    if new:
        undo.push_async_callback(parts.volumes.remove, volume.name, force=True)
    undo.callback(parts.volumes.release, volume.name, container_id)
    return structs.replace(mount, name=volume.name, driver=volume.driver)


async def fill(parts: Parts, container_id: str, mounts: Iterable[MountRecord]) -> None:
    """Fill empty volumes with what the image has at their place."""
    wanted = [m for m in mounts if m.type == "volume" and m.copy_up and not m.subpath]
    if not wanted:
        return
    async with AsyncExitStack() as undo:
        rootfs = await prepare.mount_rootfs(parts, container_id, undo, owner="copy-up")
        for mount in wanted:
            owners = prepare.seen_owners(parts, container_id)
            ids = owners.seen if owners else None
            await parts.volumes.populate(mount.name, rootfs, mount.destination, ids)


def check_images(parts: Parts, mounts: Iterable[MountRecord]) -> None:
    """Refuse mounts of images that are not here.

    Raises: InvalidParameter; at NotFound (404) clients would pull the container's own image.
    """
    for mount in mounts:
        if mount.type == "image":
            try:
                parts.images.resolve(mount.source)
            except NotFound as error:
                raise InvalidParameter(error.message, hint="pull it first") from error
