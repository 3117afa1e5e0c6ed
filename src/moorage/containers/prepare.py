"""What a start needs of the host before the runtime is called; each step with its undo."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from moorage.containers import files, idmapped, labelling, links, mount_spec, remapping, shallow
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import MountRecord
from moorage.containers.sandbox import request_for
from moorage.containers.spec_mounts import OwnFile, ReadyMount
from moorage.containers.validate_namespaces import joined_container
from moorage.kernel import mount as k
from moorage.kernel.idmap import IdMap
from moorage.kernel.openat2 import openat2
from moorage.lib import offload
from moorage.lib.errors import Conflict, InvalidParameter, MoorageError, System
from moorage.lib.failpoint import failpoint
from moorage.networks.values import Sandbox
from moorage.runtime import userns
from moorage.runtime.userns import UserNamespace
from moorage.runtime.users import Identity, look_up, read_user_files
from moorage.volumes import subpath

_SHARED = frozenset({"shared", "rshared"})
_SLAVE = frozenset({"slave", "rslave"})


async def mount_rootfs(
    parts: Parts,
    container_id: str,
    undo: AsyncExitStack,
    *,
    owner: str = "container",
) -> Path:
    """Mount the root file system for *owner*; return where."""
    layers = parts.layers
    undo.push_async_callback(offload.run, "fs", layers.unmount_rw, container_id, owner=owner)
    return await offload.run("fs", layers.mount_rw, container_id, owner=owner)


async def mounts(
    parts: Parts, container: Container, undo: AsyncExitStack, *, user: str = ""
) -> list[ReadyMount]:
    """Bring up the sources of all mounts, for the container itself or another *user* of them.

    Raises: InvalidParameter (a bind's source), NotFound (volume, image), System.
    """
    wanted = container.record.mounts
    if not wanted:
        return []
    undo.push_async_callback(release_mounts, parts, container, user=user)
    return [await _mount(parts, container, record, user) for record in wanted]


async def _mount(parts: Parts, container: Container, record: MountRecord, user: str) -> ReadyMount:
    source = ""
    directory = True
    if record.type == "volume":
        source = str(await _volume(parts, container, record, user))
    elif record.type == "bind":
        source = record.source
        directory = await offload.run_disposable(_check_bind, record)
        if _is_shallow(record):
            place = _shallow_place(parts, user or container.id, record)
            source = await offload.run_disposable(shallow.bind, Path(source), place)
    elif record.type == "image":
        mapped = seen_owners(parts, container.id) is not None
        label = parts.runtime.selinux.applied(container.record.mount_label)
        key = user or container.id
        source = str(await _image(parts, key, record, mapped=mapped, label=label))
    if not user:
        await labelling.mount_source(parts, container.record, record)
    if record.map_owner and not user:
        source = await _map_owner(parts, container, record, source)
    elif record.type == "volume" and (owners := seen_owners(parts, container.id)) is not None:
        place = _mapped_place(parts, user or container.id, record)
        source = await idmapped.mount_all(source, place, owners)
    recursive = _recursive(parts, record) and directory  # of a file crun takes no "rro"
    return ReadyMount(record, source, recursive_readonly=recursive)


async def _map_owner(parts: Parts, container: Container, record: MountRecord, source: str) -> str:
    """Show the source with the container's user as its owner."""
    if container.rootfs is None:
        raise System(f"{record.destination}: the container has no root file system yet")
    user = container.record.config.user
    who = await offload.run("fs", identity, container.rootfs, user, [])
    owners = seen_owners(parts, container.id)
    seen_as = owners.owner(who.uid, who.gid) if owners else (who.uid, who.gid)
    return await idmapped.mount(source, _mapped_place(parts, container.id, record), *seen_as)


def seen_owners(parts: Parts, container_id: str) -> IdMap | None:
    """Return the map through which a container's files are seen on the host; None for none."""
    return parts.layers.seen_owners(container_id)


def _mapped_place(parts: Parts, container_id: str, record: MountRecord) -> Path:
    return _mapped_directory(parts) / _view_key(container_id, record)


def _mapped_directory(parts: Parts) -> Path:
    return parts.settings.exec_root / "idmapped"


def _is_shallow(record: MountRecord) -> bool:
    options = record.spec.bind_options if record.spec else None
    return bool(options and options.non_recursive)


def _shallow_place(parts: Parts, user: str, record: MountRecord) -> Path:
    return _shallow_directory(parts) / _view_key(user, record)


def _shallow_directory(parts: Parts) -> Path:
    return parts.settings.exec_root / "shallow"


def _recursive(parts: Parts, record: MountRecord) -> bool:
    """Read-only binds are so below as well, unless told otherwise or the kernel is too old."""
    if record.writable or record.type != "bind":
        return False
    options = record.spec.bind_options if record.spec else None
    if options and (options.read_only_non_recursive or options.non_recursive):
        return False
    if options and options.read_only_force_recursive and not parts.facts.recursive_readonly:
        raise InvalidParameter(
            f"rro mount of {record.destination} needs a newer kernel (5.12) or runtime"
        )
    return parts.facts.recursive_readonly


async def _volume(parts: Parts, container: Container, record: MountRecord, user: str) -> Path:
    attributes = {
        "container": container.id,
        "destination": record.destination,
        "read/write": "true" if record.writable else "false",
        "propagation": record.propagation,
    }
    name = user or container.id
    path = await parts.volumes.mount(record.name, name, attributes=None if user else attributes)
    if record.subpath:
        return await parts.volumes.mount_subpath(record.name, name, record.subpath)
    return path


async def _image(parts: Parts, user: str, record: MountRecord, *, mapped: bool, label: str) -> Path:
    image = parts.images.resolve(record.source)
    key = _view_key(user, record)
    view = await offload.run(
        "fs", parts.layers.mount_view, key, image.chain_id, mapped=mapped, label=label
    )
    if not record.subpath:
        return view
    part = _part_of_view(parts, key)
    return await offload.run("fs", subpath.bind, view, record.subpath, part, what="image")


def _part_of_view(parts: Parts, key: str) -> Path:
    return parts.settings.exec_root / "views" / key


def _view_key(user: str, record: MountRecord) -> str:
    place = hashlib.sha256(record.destination.encode()).hexdigest()[:12]
    return f"{user}-{place}"


def require_source(record: MountRecord) -> None:
    """Refuse a bind of nothing. Blocks in stat(2). Raises: InvalidParameter."""
    if not _exists(record.source):
        raise InvalidParameter(
            'invalid mount config for type "bind": bind source path does not exist:'
            f" {record.source}"
        )


def _exists(source: str) -> bool:
    try:
        os.stat(source)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InvalidParameter(
            f'invalid mount config for type "bind": stat {source}:'
            f" {os.strerror(error.errno or 0).lower()}"
        ) from error
    return True


def _check_bind(record: MountRecord) -> bool:
    """Check the source of a bind, and make it if so wanted; return whether it is a directory."""
    if not record.create_source:
        require_source(record)
    elif not _exists(record.source):
        try:
            Path(record.source).mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise System(
                f"error while creating mount source path '{record.source}':"
                f" mkdir {error.filename}: {os.strerror(error.errno or 0).lower()}"
            ) from error
    if record.propagation in _SHARED | _SLAVE and mount_spec.asks_propagation(record):
        _check_propagation(record)
    return Path(record.source).is_dir()


def _check_propagation(record: MountRecord) -> None:
    """Events of a mount can only reach us if the mount of the source is shared (or a slave)."""
    path = os.path.realpath(record.source)
    holders = [m for m in k.mountinfo() if path == m.target or _below(path, m.target)]
    holder = max(holders, key=lambda m: len(m.target))
    shared = "shared:" in holder.optional
    if record.propagation in _SHARED and not shared:
        raise System(
            f"path {record.source} is mounted on {holder.target} but it is not a shared mount"
        )
    if not shared and "master:" not in holder.optional:
        raise System(
            f"path {record.source} is mounted on {holder.target} but it is not a shared"
            " or slave mount"
        )


def _below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")


async def release_mounts(parts: Parts, container: Container, *, user: str = "") -> None:
    """Undo ``mounts``; may run twice."""
    failpoint("containers.mounts.before_release")
    name = user or container.id
    attributes = None if user else {"container": container.id}
    for record in container.record.mounts:
        place = _mapped_place(parts, name, record)
        if record.map_owner or record.type == "volume":
            await offload.run("fs", idmapped.release, place)
        if _is_shallow(record):
            await offload.run("fs", shallow.release, _shallow_place(parts, name, record))
        if record.type == "volume":
            await parts.volumes.unmount(record.name, name, attributes=attributes)
        elif record.type == "image":
            key = _view_key(name, record)
            if record.subpath:
                await offload.run("fs", subpath.release, _part_of_view(parts, key))
            await offload.run("fs", parts.layers.unmount_view, key)


async def join_networks(
    parts: Parts, container: Container, undo: AsyncExitStack, *, namespace: int | None = None
) -> Sandbox:
    """Make the network sandbox, in *namespace* if given, and the files that speak of it."""
    record = container.record
    linked = links.resolve(parts.store, record.host_config)
    undo.push_async_callback(parts.networks.leave, container.id)
    request = request_for(record, links.for_networks(linked))
    try:
        sandbox = await parts.networks.join(request, namespace=namespace)
    except MoorageError as error:
        error.message = f"failed to set up container networking: {error.message}"
        raise
    files.write(
        parts.directory(container.id),
        hostname=record.config.hostname,
        hosts=sandbox.hosts,
        resolv_conf=sandbox.resolv_conf,
    )
    return sandbox


@asynccontextmanager
async def user_namespace(
    parts: Parts, container: Container, undo: AsyncExitStack
) -> AsyncIterator[tuple[UserNamespace | None, int | None]]:
    """Make the container's user namespace, or take that of the container it shares others with.

    Lends: it, None where users are the host's; and a fresh network namespace that belongs to it.
    Raises: InvalidParameter (the two do not fit), System.
    """
    owners = seen_owners(parts, container.id)
    other = remapping.shared_with(parts, container.record.host_config)
    if other is not None:  # one that does not run is refused by who joins it
        joined = remapping.joined(other.running_task().pid, owners) if other.alive else None
        yield joined, None
    elif owners is None:
        yield None, None
    else:
        handle = _user_namespace_handle(parts, container.id)
        undo.push_async_callback(offload.run, "fs", release_user_namespace, parts, container.id)
        async with AsyncExitStack() as lending:
            try:
                lender = userns.lend(*owners.texts(), network=True)
                lent = await lending.enter_async_context(lender)
                await offload.run("fs", userns.pin, lent.user, handle)
            except OSError as error:
                raise System(
                    f"cannot make a user namespace: {error.strerror or error}",
                    hint="see /proc/sys/user/max_user_namespaces",
                ) from error
            yield UserNamespace(str(handle), owners), lent.network


def _user_namespace_handle(parts: Parts, container_id: str) -> Path:
    return parts.runtime_directory(container_id) / "userns"


def release_user_namespace(parts: Parts, container_id: str) -> None:
    """Undo ``user_namespace``; absent is fine. Blocks."""
    failpoint("containers.users.before_release")
    userns.unpin(_user_namespace_handle(parts, container_id))


def hand_over(parts: Parts, container: Container, owner: Container, owners: IdMap) -> None:
    """Let the mapped root of a container reach what it is shown of ours. Blocks.

    *owner*: of the network, whose files are shown.
    """
    settings = parts.settings
    if owner is container:
        files.give(parts.directory(container.id), *owners.root)
    ways = (
        (parts.directory(container.id), settings.data_root),
        (parts.layers.driver.root, settings.data_root),
        (parts.runtime_directory(container.id), settings.exec_root),
        (_mapped_directory(parts), settings.exec_root),
        (_shallow_directory(parts), settings.exec_root),
    )
    parts.runtime_directory(container.id).mkdir(mode=0o700, parents=True, exist_ok=True)
    for way, root in ways:
        if way.exists():
            userns.let_through(way, owners, root.parent)


def other_container(parts: Parts, mode: str, purpose: str) -> Container | None:
    """Return the running container that a ``container:`` mode names.

    Raises: NotFound, Conflict (not running).
    """
    reference = joined_container(mode)
    if reference is None:
        return None
    other = parts.store.get(reference)
    if not other.alive:
        raise Conflict(f"cannot join {purpose} of a non running container: {other.id}")
    return other


def network_owner(parts: Parts, container: Container) -> Container:
    """Return the container whose sandbox this one uses, in the end.

    Raises: NotFound, Conflict (not running, or a circle).
    """
    seen = {container.id}
    current = container
    while other := other_container(parts, current.record.host_config.network_mode, "network"):
        if other.id in seen:
            raise Conflict(f"cannot join own network of container {container.id}")
        seen.add(other.id)
        current = other
    return current


def own_files(parts: Parts, container: Container, owner: Container) -> list[OwnFile]:
    """Return hosts, resolv.conf and hostname as shown inside; those of *owner* if it shares."""
    writable = not container.record.host_config.readonly_rootfs
    return files.shown(parts.directory(owner.id), writable=writable)


def identity(rootfs: Path, user: str, group_add: list[str]) -> Identity:
    """Look up who the process is, in the files of the root file system. Blocks a little.

    Raises: InvalidParameter.
    """
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return identity_below(root_fd, user, group_add)
    finally:
        os.close(root_fd)


def identity_below(root_fd: int, user: str, group_add: Sequence[str] = ()) -> Identity:
    """As ``identity``, in the files below *root_fd*."""
    return look_up(user, read_user_files(root_fd), group_add)


def make_shared_memory(parts: Parts, container: Container, undo: AsyncExitStack) -> str:
    """Mount a /dev/shm that other containers can share; return where."""
    path = parts.runtime_directory(container.id) / "shm"
    undo.callback(release_shared_memory, parts, container.id)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = container.record.host_config.shm_size
    flags = k.MS_NOEXEC | k.MS_NOSUID | k.MS_NODEV
    owners = seen_owners(parts, container.id)
    uid, gid = owners.root if owners else (0, 0)
    options = f"mode=1777,size={size},uid={uid},gid={gid}"
    label = parts.runtime.selinux.applied(container.record.mount_label)
    k.mount("shm", path, "tmpfs", flags, k.labelled(options, label))
    return str(path)


def release_shared_memory(parts: Parts, container_id: str) -> None:
    """Undo ``make_shared_memory``; absent is fine."""
    failpoint("containers.memory.before_release")
    path = parts.runtime_directory(container_id) / "shm"
    with suppress(FileNotFoundError, OSError):
        k.umount2(path, k.MNT_DETACH | k.UMOUNT_NOFOLLOW)
    with suppress(FileNotFoundError):
        path.rmdir()
        path.parent.rmdir()


def make_directories(root_fd: int, path: str, *, links: int = 40) -> None:
    """Make *path* with its parents below *root_fd*; links are resolved inside of it.

    A link that leads nowhere is given what it leads to; *links* of them are the most.
    Raises: OSError.
    """
    made = ""
    for name in path.strip("/").split("/"):
        parent_fd = openat2(root_fd, made or ".", os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        except FileExistsError:
            target = _missing_target(root_fd, parent_fd, f"{made}/{name}")
            if target and links:
                place = target if target.startswith("/") else f"{made}/{target}"
                make_directories(root_fd, place, links=links - 1)
        finally:
            os.close(parent_fd)
        made = f"{made}/{name}"


def make_file(root_fd: int, path: str) -> None:
    """Make an empty file for something to be mounted on; as ``make_directories``."""
    if parents := posixpath.dirname(path).strip("/"):
        make_directories(root_fd, parents)
    os.close(openat2(root_fd, path, os.O_WRONLY | os.O_CREAT, 0o644))


def _missing_target(root_fd: int, parent_fd: int, path: str) -> str:
    """Return what the link *path* says if there is nothing at its end, else ""."""
    try:
        os.close(openat2(root_fd, path, os.O_PATH))
    except FileNotFoundError:
        return os.readlink(posixpath.basename(path), dir_fd=parent_fd)
    return ""
