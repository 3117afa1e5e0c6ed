"""The ``local`` driver: a directory of this host, or any mount the kernel can make.

::

    <root>/<name>/          0701: its content is reachable only by the path a container was given
    <root>/<name>/_data     0755: what containers see; a mount point for volumes with ``device``
    <root>/<name>/image.ext4      the file system of a volume of limited size (``limited.py``)
"""

from __future__ import annotations

import errno
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from moorage.kernel import mount as k
from moorage.lib import atomicfile, clock, offload
from moorage.lib.errors import System
from moorage.storage.snapshots.projectquota import ProjectQuota
from moorage.volumes import limited, localoptions, usage
from moorage.volumes.driver import DriverVolume
from moorage.volumes.localoptions import LocalOptions
from moorage.volumes.record import VolumeRecord

NETWORK_TIMEOUT_S: Final = 30.0
_DATA: Final = "_data"


class LocalDriver:
    """Volumes below *root*.

    Who a volume is mounted for is the caller's to remember (``VolumeTable``): here only whether
    something is mounted counts, and the kernel knows that.
    """

    name = "local"
    scope = "local"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._quota: ProjectQuota | None = None
        self._looking = threading.Lock()  # for the quota: two would give out the same numbers

    def data_path(self, name: str) -> Path:
        """Return where a volume's content is; *name* was checked by the caller."""
        return self.root / name / _DATA

    async def create(self, volume: VolumeRecord) -> None:
        """Make the directories; may be called again after a crash.

        Raises: InvalidParameter (options), System.
        """
        options = localoptions.parse(volume.options)
        if options.size_bytes:
            await self._make_limited(volume.name, options.size_bytes)
        await offload.run("fs", self._make, volume.name)

    async def _make_limited(self, name: str, size_bytes: int) -> None:
        """Bound the volume before anything is in it: only what is made later is counted."""
        directory = self.root / name
        quota = await offload.run("fs", self._find_quota)
        await offload.run("fs", lambda: directory.mkdir(mode=0o701, exist_ok=True))
        if quota is None:
            await limited.make_image(directory, size_bytes)
            return
        try:
            await offload.run("fs", quota.limit, directory, size_bytes)
        except OSError as error:
            raise System(f"failed to set the size limit: {error.strerror}") from error

    def _find_quota(self) -> ProjectQuota | None:
        with self._looking:
            self._quota = self._quota or limited.quota(self.root)
            return self._quota

    def _make(self, name: str) -> None:
        self.root.mkdir(mode=0o701, parents=True, exist_ok=True)
        directory = self.root / name
        for path, mode in ((directory, 0o701), (directory / _DATA, 0o755)):
            with suppress(FileExistsError):
                path.mkdir(mode=mode)
                path.chmod(mode)  # whatever the umask is

    async def remove(self, volume: VolumeRecord) -> None:
        """Unmount and remove; absent is fine. Raises: System."""
        await offload.run("fs", self._remove, volume.name)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            _detach(self.data_path(name))
        try:
            atomicfile.remove_tree(self.root / name)
        except OSError as error:
            raise System(
                f"error while removing volume path '{self.root / name}': {error}"
            ) from error

    def rename(self, name: str, new: str) -> None:
        """Move a volume's directory; may be called again after a crash. Blocks."""
        if (self.root / name).exists() and not (self.root / new).exists():
            (self.root / name).rename(self.root / new)
            atomicfile.sync_directory(self.root)

    async def get(self, name: str) -> DriverVolume:
        """Describe a volume by its name alone; no look at the disk, which may hang (NFS)."""
        return DriverVolume(name=name, mountpoint=str(self.data_path(name)))

    async def list(self) -> list[DriverVolume]:
        """Return nothing: the service's records are the whole list."""
        return []

    async def mount(self, volume: VolumeRecord, user: str) -> Path:  # noqa: ARG002 - plugins need it
        """Bring the volume up.

        Raises: System, with the mount that failed; passwords are hidden.
        """
        path = self.data_path(volume.name)
        options = localoptions.parse(volume.options)
        if options.size_bytes:
            await offload.run("fs", self._mount_image, volume.name)
        elif not options.mounted:
            await offload.run("fs", self._make, volume.name)
        elif options.networked:
            await offload.run_disposable(_mount_from_network, options, path)
        else:
            await offload.run_disposable(mount_options, options, path)
        return path

    def _mount_image(self, name: str) -> None:
        path = self.data_path(name)
        if limited.image_size(path.parent) is None or is_mount_point(path):
            return
        try:
            limited.mount_image(path.parent, path)
        except OSError as error:
            raise System(
                f"failed to mount local volume: {path.parent / limited.IMAGE}: {error.strerror}"
            ) from error

    def size(self, name: str) -> int:
        """Return the bytes a volume holds; blocks. Raises: OSError."""
        path = self.data_path(name)
        image = limited.image_size(path.parent)
        if image is not None and not is_mount_point(path):
            return image
        return usage.directory_size(path)

    async def unmount(self, volume: VolumeRecord, user: str) -> None:  # noqa: ARG002 - plugins need it
        """Take the mount down; the caller has made sure that nobody uses it."""
        options = localoptions.parse(volume.options)
        if options.mounted or options.size_bytes:
            await offload.run("fs", _detach, self.data_path(volume.name))


def mount_options(options: LocalOptions, target: Path) -> None:
    """Mount what *options* describe at *target*, unless something is mounted there already.

    Raises: System, in Docker's words.
    """
    if is_mount_point(target):
        return
    split = options.split()
    try:
        k.mount(options.device, target, options.fstype, split.flags, split.data)
        try:
            if split.propagation:
                k.mount("none", target, None, split.propagation)
            if split.flags & k.MS_BIND and split.flags & ~(k.MS_BIND | k.MS_REC):
                # a first bind takes no other flag: they need a second call
                k.mount("none", target, None, split.flags & ~k.MS_REC | k.MS_REMOUNT)
        except OSError:
            k.umount2(target, k.MNT_DETACH)
            raise
    except OSError as error:
        data = f", data: {split.data}" if split.data else ""
        raise System(
            localoptions.redact(
                f"failed to mount local volume: mount {options.device}:{target},"
                f" flags: {split.flags:#x}{data}: {(error.strerror or '').lower()}"
            ),
            hint=_hint(error, options),
        ) from error


def _hint(error: OSError, options: LocalOptions) -> str | None:
    if error.errno == errno.ENODEV:
        return f"this kernel has no file system '{options.fstype}'"
    if error.errno == errno.ENOENT:
        return f"is there a '{options.device}' on this host?"
    if options.networked and error.errno in {
        errno.ETIMEDOUT,
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
    }:
        return f"does the server '{options.server}' answer?"
    return None


def _mount_from_network(options: LocalOptions, target: Path) -> None:
    """Look the server up, then mount; give up after ``NETWORK_TIMEOUT_S``.

    The kernel may hold the thread for minutes when a server is away. A mount that succeeds after
    we gave up is taken down again by the thread itself.
    """
    done = threading.Event()
    given_up = threading.Event()
    failure: list[BaseException] = []

    def attempt() -> None:
        try:
            mount_options(_resolved(options), target)
            if given_up.is_set():
                _detach(target)
        except BaseException as error:  # noqa: BLE001 - carried to the waiting caller
            failure.append(error)
        finally:
            done.set()

    start = clock.monotonic()
    offload.begin(threading.Thread(target=attempt, name="moorage-volume-mount", daemon=True))
    if not done.wait(NETWORK_TIMEOUT_S):
        given_up.set()
        raise System(
            f"failed to mount local volume: {options.device}: no answer from"
            f" '{options.server}' in {clock.monotonic() - start:.0f} s",
            hint="is the server up, and reachable from this host?",
        )
    if failure:
        raise failure[0]


def _resolved(options: LocalOptions) -> LocalOptions:
    server = options.server
    if not server:
        return options
    try:
        found = socket.getaddrinfo(server, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise System(
            f"error resolving passed in network volume address: lookup {server}: {error.strerror}"
        ) from error
    return options.with_address(str(found[0][4][0]))


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted at *path* itself; reads no directory, so it never hangs."""
    name = str(path)
    return any(info.target == name for info in k.mountinfo())


def _detach(path: Path) -> None:
    """Unmount all that is stacked at *path*; lazily, so a dead server cannot hold us."""
    while True:
        try:
            k.umount2(path, k.MNT_DETACH | k.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return  # not, or no longer, a mount point
            raise
