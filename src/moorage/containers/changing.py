"""Changing the environment and the mounts of a container that exists.

Both are read when a container starts. So what an update asks for is noted in the record, and comes
into force before the next start; of a container without process at once. The id, the name, the
writable layer and the volumes that stay are the same before and after.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from msgspec import structs

from moorage.containers import mount_spec, own_mounts, validate_config, validate_namespaces
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import ContainerRecord, MountRecord, Pending
from moorage.lib.failpoint import failpoint


def merge(before: Pending | None, asked: Pending) -> Pending:
    """Return *before* with what *asked* says."""
    known = structs.asdict(before or Pending())
    return Pending(**{**known, **{k: v for k, v in structs.asdict(asked).items() if v is not None}})


async def check(parts: Parts, record: ContainerRecord, pending: Pending) -> None:
    """Refuse what could not come into force. Raises: InvalidParameter."""
    wanted = planned(parts, record, pending)
    new = [mount for mount in wanted.mounts if mount not in record.mounts]
    for mount in new:
        await own_mounts.check_source(mount)
    own_mounts.check_images(parts, new)


def planned(parts: Parts, record: ContainerRecord, pending: Pending) -> ContainerRecord:
    """Return *record* as *pending* wants it; new volumes have no name yet.

    Raises: InvalidParameter.
    """
    config, host = record.config, record.host_config
    if pending.env is not None:
        config = structs.replace(config, env=pending.env)
    if pending.binds is not None:
        host = structs.replace(host, binds=pending.binds)
    if pending.mounts is not None:
        host = structs.replace(host, mounts=pending.mounts)
    validate_config.check(config, host)
    validate_namespaces.check(config, host)
    wanted = structs.replace(record, config=config, host_config=host)
    if host == record.host_config:
        return wanted
    own = {mount.destination for mount in mount_spec.plan(record.config, record.host_config)}
    inherited = [mount for mount in record.mounts if mount.destination not in own]  # volumes-from
    before = {mount.destination: mount for mount in record.mounts}
    mounts = mount_spec.with_propagation(
        mount_spec.plan(config, host, inherited), str(parts.settings.data_root)
    )
    return structs.replace(
        wanted, mounts=[_kept(before.get(mount.destination), mount) for mount in mounts]
    )


def _kept(before: MountRecord | None, mount: MountRecord) -> MountRecord:
    """Return *mount* with the volume that is there already, if it means the same."""
    if before is None or before.type != "volume" or mount.type != "volume":
        return mount
    if mount.name != before.name and (mount.name or not before.anonymous):
        return mount
    return structs.replace(mount, name=before.name, driver=before.driver)


async def take_over(parts: Parts, container: Container) -> None:
    """Let what is pending come into force, or leave everything as it was.

    *Preconditions*: the caller holds the lock; the container has no process.
    Events: ``volume create`` for new volumes.
    Raises: InvalidParameter, Conflict, NotFound, System.
    """
    record = container.record
    if record.pending is None:
        return
    wanted = planned(parts, record, record.pending)
    had = _volumes(record)
    async with AsyncExitStack() as undo:
        mounts: list[MountRecord] = []
        for mount in wanted.mounts:
            if mount.type == "volume" and mount.name in had:
                mounts.append(mount)
                continue
            new = await own_mounts.make(parts, record.id, [mount], undo)
            await own_mounts.fill(parts, record.id, new)
            mounts += new
        own_mounts.check_images(parts, mounts)
        failpoint("containers.update.before_commit")
        parts.store.change(
            container,
            config=wanted.config,
            host_config=wanted.host_config,
            mounts=mounts,
            pending=None,
        )
        undo.pop_all()
    failpoint("containers.update.after_commit")
    for name in had - _volumes(container.record):  # they stay, as those of ``rm`` do
        parts.volumes.release(name, container.id)


def release_stale(parts: Parts) -> None:
    """After a crash: let go of the volumes of updates that were cut off."""
    for volume in parts.volumes.table.all():
        for container_id in parts.volumes.references(volume.name):
            container = parts.store.find(container_id)
            if container is not None and volume.name not in _volumes(container.record):
                parts.volumes.release(volume.name, container_id)


def _volumes(record: ContainerRecord) -> set[str]:
    return {mount.name for mount in record.mounts if mount.type == "volume"}
