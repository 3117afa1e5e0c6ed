"""overlay2: the kernel's overlay file system, layers unpacked once and stacked by mount(2).

Layers are kept in the kernel's own form (devices 0:0, ``trusted.overlay.opaque``), so what differs
is read off the upper directory (*native* diff). Options that would make an upper directory depend
on its lowers (index, metacopy, redirect_dir) are switched off for that.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.kernel import idmap
from moorage.kernel.credentials import act_as
from moorage.kernel.idmap import IdMap
from moorage.kernel.mount import (
    MNT_DETACH,
    MS_RDONLY,
    PAGE_LIMIT,
    UMOUNT_NOFOLLOW,
    labelled,
    mount,
    mountinfo,
    umount2,
)
from moorage.kernel.namespaces import CLONE_FS, unshare
from moorage.lib import atomicfile, ids, offload, units
from moorage.lib.errors import InvalidParameter, System
from moorage.storage.archive.options import Whiteouts
from moorage.storage.snapshots import difference, walk
from moorage.storage.snapshots.contract import Change, SnapshotDriver, view_name
from moorage.storage.snapshots.projectquota import ProjectQuota

_NATIVE: Final = "index=off,metacopy=off,redirect_dir=off"
_PADS: Final = (".empty", ".blank")
_VIEWS: Final = ".views"
_last_closes: Final = offload.Threads(1, thread_name_prefix="moorage-unmount")


class Mapped(Struct, frozen=True):
    """Where the driver's root is seen with owners mapped, and how."""

    place: Path
    owners: IdMap


class OverlayDriver(SnapshotDriver):
    """The default.

    ::

        root/<layer>/diff             what the layer changes
        root/<writable>/{diff,work,merged}
        root/.views/<key>             read-only mounts
        root/.empty, root/.blank      lowest directories where a stack has too few for mount(2)

    Names are short and mounts are made from inside ``root`` where the list of lower directories
    would not fit the page that mount(2) takes: some 280 layers do.
    """

    name = "overlay2"
    isolated = True
    labels_mounts = True
    whiteouts = Whiteouts.OVERLAY
    known_options = frozenset({"overlay2.size", "overlay2.override_kernel_check"})

    def __init__(self, root: Path, options: Mapping[str, str]) -> None:
        super().__init__(root, options)
        for directory in (root, root / _VIEWS):
            directory.mkdir(mode=0o710, parents=True, exist_ok=True)
        for pad in _PADS:  # the root of an empty stack looks like them
            (root / pad).mkdir(exist_ok=True)
            (root / pad).chmod(0o755)
        self._quota: ProjectQuota | None = None
        self._mapped: Mapped | None = None

    def probe(self) -> None:
        """Mount a small overlay, write through it, and look at what it left."""
        place = self.root / f".probe-{ids.token()}"
        try:
            for name in ("lower", "upper", "work", "merged"):
                (place / name).mkdir(parents=True)
            (place / "lower" / "file").touch()
            options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
            mount("overlay", place / "merged", "overlay", 0, f"{options},{_NATIVE}")
            try:
                (place / "merged" / "file").unlink()
            finally:
                umount2(place / "merged", MNT_DETACH)
            if not walk.is_whiteout((place / "upper" / "file").lstat()):
                raise System("the kernel's overlay leaves no usable whiteouts here")
        except OSError as error:
            raise System(
                f"the kernel cannot mount an overlay on {self.root}: {error.strerror}",
                hint="its file system must support d_type and trusted xattrs (ext4, xfs with"
                " ftype=1, btrfs); else use --storage-driver fuse-overlayfs or vfs",
            ) from error
        finally:
            atomicfile.remove_tree(place)

    def prepare(self, name: str, parents: Sequence[str]) -> Path:
        """Make the directory; the parents do not matter to an overlay layer."""
        del parents
        path = self.root / name / "diff"
        path.mkdir(mode=0o755, parents=True)
        return path

    def commit(self, name: str) -> None:
        """Nothing is left to do."""

    def create(self, name: str, parents: Sequence[str], *, size_bytes: int | None) -> None:
        """Make upper, work and mount point; the root looks like the topmost layer's."""
        base = self.root / name
        base.mkdir(mode=0o710)
        if size_bytes is None and "overlay2.size" in self.options:
            size_bytes = units.parse_bytes(self.options["overlay2.size"])
        if size_bytes is not None:
            self.limit(base, size_bytes)
        for part in ("work", "merged", "diff"):
            (base / part).mkdir(mode=0o755)
        if parents:
            found = self.tree(parents[0]).stat()
            os.chown(base / "diff", found.st_uid, found.st_gid)
            (base / "diff").chmod(found.st_mode & 0o7777)

    def limit(self, base: Path, size_bytes: int) -> None:
        """Bound what is written below *base*. Raises: InvalidParameter, if that cannot be."""
        if self._quota is None:
            self._quota = ProjectQuota(self.root)
        if not self._quota.works:
            raise InvalidParameter(
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
                hint="or ext4 with the project feature and 'prjquota'",
            )
        self._quota.limit(base, size_bytes)

    def map_owners(self, owners: IdMap, place: Path, namespace: int) -> None:
        """Show the root at *place* with owners mapped, and try an overlay of it.

        All layers belong to the mapped root there, so nobody but root may come near *place*.
        """
        detach(place)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.parent.chmod(0o700)
        place.mkdir(mode=0o700, exist_ok=True)
        for directory in (self.root, self.root / _VIEWS):
            os.chown(directory, -1, owners.root[1])  # the mapped root passes through, no more
        name = f".mapped-{ids.token()}"
        try:
            idmap.bind(self.root, place, namespace)
            self._mapped = Mapped(place, owners)
            self.create(name, [], size_bytes=None)
            _in_thread(partial(_make_file, self.mount_mapped(name, []), owners))
        except OSError as error:
            raise System(
                f"userns-remap: the kernel cannot map the owners of layers: {error.strerror}",
                hint="this needs Linux 5.19 and a file system with idmapped mounts, such as ext4",
            ) from error
        finally:
            self.remove(name)

    def mount_mapped(self, name: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Mount the stack, all owners seen through the map."""
        assert self._mapped is not None  # noqa: S101 - ``map_owners`` comes first
        os.chown(self.root / name, -1, self._mapped.owners.root[1])
        return self._mount(name, parents, self._mapped, label)

    def view_mapped(self, key: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Mount the stack without an upper layer, all owners seen through the map."""
        return self._view(key, parents, self._mapped, label)

    def mount(self, name: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Mount the stack with the writable layer on top."""
        return self._mount(name, parents, None, label)

    def _mount(self, name: str, parents: Sequence[str], mapped: Mapped | None, label: str) -> Path:
        target = self.root / name / "merged"
        if not is_mount(target):
            try:
                self.mount_stack(target, parents, upper=name, mapped=mapped, label=label)
            except OSError as error:
                if os.statvfs(self.root).f_flag & os.ST_RDONLY:  # the kernel says EINVAL
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(target)) from error
                raise
        return target

    def mount_stack(
        self,
        target: Path,
        parents: Sequence[str],
        *,
        upper: str | None,
        mapped: Mapped | None = None,
        label: str = "",
    ) -> None:
        """Call mount(2), from inside the root if the options are too long otherwise.

        An overlay works on its layers as who mounted it: on *mapped* ones that is their root.
        """
        flags = 0 if upper else MS_RDONLY
        options = self.stack_options(f"{self.root}/", parents, upper, label)
        if mapped is None and len(os.fsencode(options)) <= PAGE_LIMIT:
            mount("overlay", target, "overlay", flags, options)
            return
        options = self.stack_options("", parents, upper, label)
        if len(os.fsencode(options)) > PAGE_LIMIT:
            raise InvalidParameter(f"an image of {len(parents)} layers is more than overlay takes")

        def work() -> None:
            unshare(CLONE_FS)
            if mapped is not None:
                act_as(*mapped.owners.root)
            os.chdir(mapped.place if mapped else self.root)
            mount("overlay", target, "overlay", flags, options)

        _in_thread(work)

    def stack_options(
        self, prefix: str, parents: Sequence[str], upper: str | None, label: str
    ) -> str:
        """Return the mount options for a stack, its directories behind *prefix*."""
        lowers = [f"{prefix}{parent}/diff" for parent in parents]
        needed = 2 if upper is None else 1
        lowers += [prefix + pad for pad in _PADS[: max(0, needed - len(lowers))]]
        options = [f"lowerdir={':'.join(lowers)}"]
        if upper is not None:
            options += [f"upperdir={prefix}{upper}/diff", f"workdir={prefix}{upper}/work"]
        return labelled(",".join([*options, _NATIVE]), label)

    def unmount(self, name: str) -> None:
        """Take the mount away at once; its end, which flushes the whole disk, is not waited for."""
        target = self.root / name / "merged"
        try:
            fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        detach(target)
        try:
            _last_closes.submit(os.close, fd)
        except System:  # no thread is to be had: then it is waited for
            os.close(fd)

    def view(self, key: str, parents: Sequence[str], *, label: str = "") -> Path:
        """Mount the stack without an upper layer, which makes it read-only."""
        return self._view(key, parents, None, label)

    def _view(self, key: str, parents: Sequence[str], mapped: Mapped | None, label: str) -> Path:
        target = self.root / _VIEWS / view_name(key)
        target.mkdir(mode=0o755, exist_ok=True)
        if not is_mount(target):
            self.mount_stack(target, parents, upper=None, mapped=mapped, label=label)
        return target

    def close_view(self, key: str) -> None:
        """Unmount the view."""
        target = self.root / _VIEWS / view_name(key)
        detach(target)
        with suppress(FileNotFoundError):
            target.rmdir()

    def changes(self, name: str, parents: Sequence[str]) -> list[Change]:
        """Read them off the upper directory."""
        return difference.overlay_changes(
            self.tree(name), [self.tree(parent) for parent in parents]
        )

    def usage(self, name: str, parents: Sequence[str]) -> int:
        """Add up the upper directory."""
        del parents
        return walk.apparent_size(self.tree(name))

    def tree(self, name: str) -> Path:
        """Return the directory with what the layer changes."""
        return self.root / name / "diff"

    def data(self, name: str, parents: Sequence[str]) -> dict[str, str]:
        """Return Docker's four directories."""
        lowers = ":".join(str(self.tree(parent)) for parent in parents)
        base = self.root / name
        shown = {
            "LowerDir": lowers,
            "MergedDir": str(base / "merged"),
            "UpperDir": str(base / "diff"),
            "WorkDir": str(base / "work"),
        }
        return shown if parents else {key: shown[key] for key in shown if key != "LowerDir"}

    def status(self) -> list[list[str]]:
        """Return Docker's words about the backing file system."""
        return [
            ["Backing Filesystem", backing_filesystem(self.root)],
            ["Supports d_type", "true"],
            ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"],
            ["userxattr", "false"],
        ]


def is_mount(path: Path) -> bool:
    """Whether something is mounted on *path* (it lies on another device than its parent)."""
    try:
        return path.lstat().st_dev != path.parent.lstat().st_dev
    except FileNotFoundError:
        return False


def detach(path: Path) -> None:
    """Unmount everything on *path*; nothing there is fine."""
    while True:
        try:
            umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            raise


def backing_filesystem(path: Path) -> str:
    """Return the file system type that *path* is on, as Docker names it."""
    resolved = str(path.resolve())
    best, kind = -1, "<unknown>"
    for entry in mountinfo():
        inside = entry.target in {"/", resolved} or resolved.startswith(f"{entry.target}/")
        if inside and len(entry.target) >= best:
            best, kind = len(entry.target), entry.fstype
    return {"ext4": "extfs", "ext3": "extfs", "ext2": "extfs"}.get(kind, kind)


def _make_file(root: Path, owners: IdMap) -> None:
    """Make a file as the mapped root; what does not work is mounted read-only by the kernel."""
    act_as(*owners.root)
    (root / "file").touch()


def _in_thread(work: Callable[[], None]) -> None:
    """Run *work*, which changes its thread, in one of its own."""
    failures: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - carried to the caller
            failures.append(error)

    thread = threading.Thread(target=body, name="moorage-mount")
    offload.begin(thread)
    thread.join()
    if failures:
        raise failures[0]
