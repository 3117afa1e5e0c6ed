"""All volumes of the daemon: the operations of the Engine API and those the containers need.

Reads are answered from memory. A change holds the lock of its volume's name, so a volume on a dead
server holds up itself alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from msgspec import UNSET, structs

from moorage.lib import clock, ids, offload, tasks
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, NotFound, System
from moorage.lib.failpoint import failpoint
from moorage.lib.namedlock import NamedLocks
from moorage.lib.tasks import Supervisor
from moorage.plugins.registry import Plugins
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.volume import (
    Volume,
    VolumeListResponse,
    VolumePruneResponse,
    VolumeUsageData,
)
from moorage.storage import treecopy
from moorage.storage.metadata import Database
from moorage.volumes import copyup, subpath
from moorage.volumes.driver import DriverVolume
from moorage.volumes.drivers import Drivers
from moorage.volumes.local import LocalDriver
from moorage.volumes.names import check_name, operation
from moorage.volumes.prune import Selection
from moorage.volumes.record import ANONYMOUS_LABEL, VolumeRecord, VolumeTable

log = logging.getLogger(__name__)
_LIST_FILTERS: Final = ("dangling", "driver", "label", "name")
_SIZE_TIMEOUT_S: Final = 20.0
_SIZES_AT_ONCE: Final = 16  # each takes a thread


class Publisher(Protocol):
    """Where events go."""

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        """Publish one event; never blocks."""


class Volumes:
    """The volumes; ``open`` before use.

    A *container* refers to its volumes from its creation to its removal (``acquire``, ``release``)
    and has them mounted while it runs (``mount``, ``unmount``). Both are remembered over a restart
    of the daemon and may be repeated. What creates, removes or renames runs to its end although the
    client hangs up.
    """

    def __init__(
        self,
        *,
        root: Path,
        exec_root: Path,
        database: Database,
        events: Publisher,
        plugins: Plugins,
        supervisor: Supervisor,
    ) -> None:
        self._supervisor = supervisor
        self.table = VolumeTable(database)
        self.drivers = Drivers(LocalDriver(root), plugins)
        self._subpaths = exec_root / "volumes"
        self._events = events
        self._locks = NamedLocks()

    async def open(self) -> None:
        """Read what is remembered, and finish what a killed daemon had begun."""
        self.table.load()
        for record in self.table.all():
            if not record.ready:
                await self._discard(record)
            elif record.renaming_to:
                await self._finish_rename(record)

    async def close(self) -> None:
        """Nothing: the mounts stay, for the containers go on."""

    # -- the operations of the API ---------------------------------------------------------------

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        container_id: str | None = None,
    ) -> Volume:
        """Create a volume, or return the one of that name.

        Without *name* it is anonymous. With *container_id* it is referred to from the start, so
        that no prune can come between.

        Events: ``create``.
        Raises: InvalidParameter, Conflict (name taken by another driver), NotFound (driver).
        """
        adopt = bool(name) and not driver
        if not name:
            name = ids.new_id()
            labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
        work = self._find_or_create(name, driver, options, labels, container_id, adopt=adopt)
        return await tasks.finish(work, self._supervisor, f"create volume {name}")

    async def _find_or_create(
        self,
        name: str,
        driver: str,
        options: dict[str, str] | None,
        labels: dict[str, str] | None,
        container_id: str | None,
        *,
        adopt: bool,
    ) -> Volume:
        """*adopt*: a volume that a plugin has of its own accord will do."""
        async with self._locks.hold(name):
            record = self.table.get(name)
            if record is not None and not record.ready:  # its removal failed on the way
                await self._discard(record)
                record = None
            if record is None and adopt:
                record = await self._adopt(name)
            if record is None:
                record = await self._create(name, driver, options, labels, container_id)
            elif driver and driver != record.driver:
                with operation("create", name):
                    await self.drivers.get(driver)
                raise Conflict(
                    f"create {name}: driver '{record.driver}' already has volume '{name}':"
                    " volume name must be unique"
                )
            if container_id is not None:
                self.table.refer(name, container_id)
            return self._shown(record)

    async def _create(
        self,
        name: str,
        driver_name: str,
        options: dict[str, str] | None,
        labels: dict[str, str] | None,
        container_id: str | None,
    ) -> VolumeRecord:
        with operation("create", name):
            driver = await self.drivers.get(driver_name)
            if driver is self.drivers.local:
                check_name(name)
            record = VolumeRecord(
                name=name,
                driver=driver.name,
                options=options,
                labels=labels,
                created_ns=clock.now_ns(),
                scope=driver.scope,
            )
            self.table.save(record)
            try:
                failpoint("volumes.create.after_intent")
                await driver.create(record)
                failpoint("volumes.create.after_driver")
                known = await driver.get(name)
                if container_id is not None:  # first: a crash must not leave it to nobody
                    self.table.refer(name, container_id)
            except BaseException:
                await self._discard(record)
                raise
        record = structs.replace(record, mountpoint=known.mountpoint, ready=True)
        self.table.save(record)
        self._publish("create", record)
        return record

    async def _adopt(self, name: str) -> VolumeRecord | None:
        """Make a record of a volume that a plugin has of its own accord."""
        found = await self.drivers.find_volume(name)
        if found is None:
            return None
        driver, said = found
        record = VolumeRecord(
            name=name,
            driver=driver.name,
            scope=driver.scope,
            mountpoint=said.mountpoint,
            created_ns=clock.now_ns(),
            ready=True,
        )
        self.table.save(record)
        return record

    async def _discard(self, record: VolumeRecord) -> None:
        """Finish a removal, or undo a creation that was not finished.

        A plugin keeps what it has: it may have had the volume before we knew of it.
        """
        if record.driver == self.drivers.local.name:
            await self.drivers.local.remove(record)
        self.table.delete(record.name)

    async def inspect(self, name: str) -> Volume:
        """Return one volume, with what its driver says now. Raises: NotFound."""
        if self.table.get(name) is None:
            await self._adopt(name)
        record = self._require(name)
        if record.driver == self.drivers.local.name:
            return self._shown(record)
        driver = await self.drivers.get(record.driver)
        return with_said(self._shown(record), await driver.get(name))

    def get(self, name: str) -> Volume:
        """Return one volume from memory. Raises: NotFound, with Docker's sentence."""
        return self._shown(self._require(name))

    async def list(self, filters: Filters) -> VolumeListResponse:
        """Return the volumes that match. Raises: InvalidParameter."""
        filters.require_known(_LIST_FILTERS)
        dangling = filters.flag("dangling") if "dangling" in filters else None
        shown = {r.name: self._shown(r) for r in self.table.all() if r.ready}
        others, warnings = await self.drivers.plugin_volumes()
        for driver, said in others:
            known = shown.get(said.name)
            if known is None or known.driver == driver.name:
                base = known or Volume(name=said.name, driver=driver.name, scope=driver.scope)
                shown[said.name] = with_said(base, said)
        found = [
            volume
            for volume in shown.values()
            if filters.exact("driver", volume.driver)
            and filters.labels(volume.labels)
            and filters.match("name", volume.name)
            and dangling in {None, not self.table.references(volume.name)}
        ]
        return VolumeListResponse(volumes=found, warnings=warnings or None)

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume that no container refers to.

        *force* takes an absent volume for removed, and forgets one whose plugin is gone.

        Events: ``destroy``.
        Raises: NotFound, Conflict (in use).
        """
        work = self._remove(name, force=force)
        await tasks.finish(work, self._supervisor, f"remove volume {name}")

    async def _remove(self, name: str, *, force: bool) -> None:
        async with self._locks.hold(name):
            known = self.table.get(name)
            if known is None and force:
                return
            if known is not None and not known.ready:
                await self._discard(known)
                return
            record = self._require(name)
            if references := self.table.references(name):
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(references)}]")
            if users := self.table.mounts(name):
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(sorted(users))}]")
            with operation("remove", name):
                try:
                    driver = await self.drivers.get(record.driver)
                    self.table.save(structs.replace(record, ready=False))
                    failpoint("volumes.remove.after_intent")
                    await driver.remove(record)
                except (MoorageError, OSError):
                    if not force or record.driver == self.drivers.local.name:
                        self.table.save(record)
                        raise
            failpoint("volumes.remove.after_driver")
            self.table.delete(name)
            self._publish("destroy", record)

    async def rename(self, name: str, new: str) -> None:
        """Give a volume of the local driver that no container refers to another name.

        Events: ``destroy`` of the old name, ``create`` of the new.
        Raises: NotFound, InvalidParameter, Conflict (in use, or *new* exists).
        """
        work = self._rename(name, new)
        await tasks.finish(work, self._supervisor, f"rename volume {name}")

    async def _rename(self, name: str, new: str) -> None:
        if name == new:
            raise Conflict(f"rename {name}: volume '{new}' exists already")
        first, second = sorted((name, new))  # as everybody who takes two
        async with self._locks.hold(first), self._locks.hold(second):
            record = self._require(name)
            with operation("rename", name):
                check_name(new)
                if record.driver != self.drivers.local.name:
                    raise InvalidParameter("only volumes of the local driver can be renamed")
                if self.table.get(new) is not None:
                    raise Conflict(f"volume '{new}' exists already")
                users = {*self.table.references(name), *self.table.mounts(name)}
                if users:
                    raise Conflict(f"volume is in use - [{', '.join(sorted(users))}]")
            self.table.save(structs.replace(record, renaming_to=new))
            try:
                failpoint("volumes.rename.after_intent")
                renamed = await self._finish_rename(structs.replace(record, renaming_to=new))
            except (MoorageError, OSError):
                await offload.run("fs", self.drivers.local.rename, new, name)
                self.table.save(record)
                raise
            self._publish("destroy", record)
            self._publish("create", renamed)

    async def _finish_rename(self, record: VolumeRecord) -> VolumeRecord:
        """Move the directory, unless that was done already, and then the record."""
        new = record.renaming_to
        await offload.run("fs", self.drivers.local.rename, record.name, new)
        failpoint("volumes.rename.after_move")
        path = str(self.drivers.local.data_path(new))
        renamed = structs.replace(record, name=new, renaming_to="", mountpoint=path)
        self.table.rename(record, renamed)
        return renamed

    async def prune(self, filters: Filters) -> VolumePruneResponse:
        """Remove the volumes nobody uses: the anonymous ones, or ``all``.

        Events: ``destroy`` for each, then ``prune``.
        Raises: InvalidParameter.
        """
        work = self._prune(Selection(filters))
        return await tasks.finish(work, self._supervisor, "prune volumes")

    async def _prune(self, selection: Selection) -> VolumePruneResponse:
        removed: list[str] = []
        reclaimed = 0
        for record in self.table.all():
            local = record.driver == self.drivers.local.name
            if not selection.takes(record, local=local) or self.table.references(record.name):
                continue
            size = await self.size(record)
            try:
                await self.remove(record.name)
            except (Conflict, NotFound):
                continue  # somebody was quicker
            except MoorageError as error:
                log.warning("%s", error)
                continue
            removed.append(record.name)
            reclaimed += max(size, 0)
        self._events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return VolumePruneResponse(volumes_deleted=removed, space_reclaimed=reclaimed)

    async def sizes(self) -> Sequence[Volume]:
        """Return all volumes with their sizes and numbers of references, for ``system df``.

        A volume whose server does not answer in time has size -1, as one of a plugin has.
        """
        records = [record for record in self.table.all() if record.ready]
        slots = asyncio.Semaphore(_SIZES_AT_ONCE)

        async def measure(record: VolumeRecord) -> int:
            async with slots:
                return await self.size(record)

        async with asyncio.TaskGroup() as group:
            measured = [group.create_task(measure(record)) for record in records]
        return [
            structs.replace(
                self._shown(record),
                usage_data=VolumeUsageData(
                    size=task.result(), ref_count=len(self.table.references(record.name))
                ),
            )
            for record, task in zip(records, measured, strict=True)
        ]

    async def size(self, record: VolumeRecord) -> int:
        """Return the bytes a volume holds; -1: not known."""
        if record.driver != self.drivers.local.name:
            return -1
        try:
            async with asyncio.timeout(_SIZE_TIMEOUT_S):
                return await offload.run_disposable(self.drivers.local.size, record.name)
        except (TimeoutError, OSError):
            return -1

    # -- what containers need --------------------------------------------------------------------

    def acquire(self, name: str, container_id: str) -> Volume:
        """Note that a container uses the volume, so that it is not removed. Raises: NotFound."""
        record = self._require(name)
        self.table.refer(name, container_id)
        return self._shown(record)

    def release(self, name: str, container_id: str) -> None:
        """Undo ``acquire``; absent is fine."""
        self.table.unrefer(name, container_id)

    async def abandon(self, container_id: str) -> None:
        """Undo every ``acquire`` of a creation that was cut off; its anonymous volumes go.

        Events: ``destroy`` for each of them.
        """
        for name in self.table.referred_by(container_id):
            self.release(name, container_id)
            record = self.table.get(name)
            if record is not None and record.anonymous:
                with suppress(Conflict, NotFound):  # another's first, or never finished
                    await self.remove(name)

    def references(self, name: str) -> Collection[str]:
        """Return the ids of the containers that use the volume."""
        return self.table.references(name)

    async def mount(
        self, name: str, user: str, *, attributes: Mapping[str, str] | None = None
    ) -> Path:
        """Bring the volume up for *user*, as a rule a container's id; return where it is.

        Events: ``mount``, with *attributes* (container, destination, read/write, propagation).
        Raises: NotFound, System.
        """
        async with self._locks.hold(name):
            record = self._require(name)
            driver = await self.drivers.get(record.driver)
            users = self.table.mounts(name)
            self.table.set_mounts(name, users | {user})
            try:
                path = await driver.mount(record, user)
                failpoint("volumes.mount.after_driver")
            except BaseException as error:
                self.table.set_mounts(name, users)
                if isinstance(error, System):
                    raise System(
                        f"error while mounting volume '{record.mountpoint}': {error.message}",
                        hint=error.hint,
                    ) from error
                raise
            if attributes is not None:
                self._publish("mount", record, attributes)
            return path

    async def unmount(
        self, name: str, user: str, *, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Undo ``mount`` and the subpaths mounted for *user*; repeated or absent is fine.

        A plugin that fails does not hold a container up: it is logged.
        Events: ``unmount``, if it was mounted.
        """
        async with self._locks.hold(name):
            record = self.table.get(name)
            users = self.table.mounts(name)
            if record is None or user not in users:
                return
            await self._release_subpaths(name, user)
            try:
                await self._driver_unmount(record, user, last=len(users) == 1)
            except MoorageError as error:
                if record.driver == self.drivers.local.name:
                    raise
                log.warning("volume %s: unmount for %s: %s", name, user, error)
            self.table.set_mounts(name, users - {user})
            if attributes is not None:
                self._publish("unmount", record, attributes)

    async def _driver_unmount(self, record: VolumeRecord, user: str, *, last: bool) -> None:
        driver = await self.drivers.get(record.driver)
        if last or driver is not self.drivers.local:
            await driver.unmount(record, user)

    async def unmount_all(self, user: str) -> None:
        """Unmount whatever is mounted for *user*."""
        for name in self.table.mounted_by(user):
            await self.unmount(name, user)

    async def mount_subpath(self, name: str, user: str, inside: str) -> Path:
        """Return a place where *inside* of the volume, mounted for *user* already, is mounted.

        It goes with ``unmount``. Raises: InvalidParameter, NotFound, System.
        """
        record = self._require(name)
        target = self._subpath_directory(name, user) / ids.token()
        await offload.run_disposable(subpath.bind, Path(record.mountpoint), inside, target)
        return target

    def _subpath_directory(self, name: str, user: str) -> Path:
        return self._subpaths / user / name

    async def _release_subpaths(self, name: str, user: str) -> None:
        directory = self._subpath_directory(name, user)

        def release() -> None:
            if not directory.is_dir():
                return
            for target in directory.iterdir():
                subpath.release(target)
            directory.rmdir()
            if not any(directory.parent.iterdir()):
                directory.parent.rmdir()

        await offload.run("fs", release)

    async def populate(
        self, name: str, rootfs: Path, inside: str, owners: treecopy.Owners | None = None
    ) -> None:
        """Copy what the image has at *inside* to the volume, if the volume is empty.

        *owners*: from those seen in *rootfs* to those that files in the volume get.

        *rootfs* is the mounted root of the container; its links are resolved inside of it.
        Raises: NotFound, System.
        """
        user = f"copy-up-{ids.token()}"
        path = await self.mount(name, user)
        try:
            await offload.run_disposable(copyup.populate, path, rootfs, inside, owners)
        except OSError as error:
            raise System(f"failed to copy the image's content to volume {name}: {error}") from error
        finally:
            await self.unmount(name, user)

    async def reconcile(self, containers: Collection[str], running: Collection[str]) -> None:
        """After a restart drop references of *containers* gone, and mounts of those not *running*.

        Both are ids; *running* ones are among *containers*.
        """
        for record in self.table.all():
            for container_id in set(self.table.references(record.name)).difference(containers):
                self.table.unrefer(record.name, container_id)
            for user in self.table.mounts(record.name).difference(running):
                await self.unmount(record.name, user)

    # -- inside ----------------------------------------------------------------------------------

    def _require(self, name: str) -> VolumeRecord:
        record = self.table.get(name)
        if record is None or not record.ready:
            raise NotFound(f"get {name}: no such volume")
        return record

    def _shown(self, record: VolumeRecord) -> Volume:
        return Volume(
            name=record.name,
            driver=record.driver,
            mountpoint=record.mountpoint,
            created_at=clock.rfc3339(record.created_ns // 1_000_000_000 * 1_000_000_000),
            labels=record.labels,
            options=record.options,
            scope=record.scope,
        )

    def _publish(
        self, action: str, record: VolumeRecord, attributes: Mapping[str, str] | None = None
    ) -> None:
        self._events.publish(
            "volume", action, record.name, {"driver": record.driver, **(attributes or {})}
        )


def with_said(volume: Volume, said: DriverVolume) -> Volume:
    """Add what a driver says about a volume to what we remember of it."""
    return structs.replace(
        volume,
        mountpoint=said.mountpoint or volume.mountpoint,
        created_at=said.created_at or volume.created_at,
        status=said.status or UNSET,
    )
