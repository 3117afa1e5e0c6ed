"""From a container to the specification of one start: prepares the host, then describes."""

from __future__ import annotations

import os
import stat
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from moorage.cdi import injection, requests
from moorage.containers import (
    devices,
    init_program,
    labelling,
    links,
    prepare,
    security,
    security_options,
    spec_from_config,
)
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.record import ContainerRecord
from moorage.containers.spec_from_config import Surroundings
from moorage.containers.spec_mounts import ReadyMount
from moorage.kernel import openat2
from moorage.kernel.credentials import act_as
from moorage.kernel.idmap import IdMap
from moorage.lib import offload
from moorage.lib.errors import InvalidParameter
from moorage.lib.failpoint import failpoint
from moorage.runtime.selinux_label import Labels
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.oci.runtime import Spec


async def prepare_start(parts: Parts, container: Container, undo: AsyncExitStack) -> Spec:
    """Prepare the host for one start and describe it; *undo* takes all of it back."""
    record, host = container.record, container.record.host_config
    injected = await _injected(parts, host)
    options = security_options.parse(host.security_opt or [])
    profile = await parts.runtime.apparmor.profile(options.apparmor, privileged=host.privileged)
    noted = {"device_groups": list(injected.groups), "apparmor_profile": profile}
    if any(getattr(record, name) != value for name, value in noted.items()):
        parts.store.change(container, **noted)  # for inspect and exec
    rootfs = container.rootfs = await prepare.mount_rootfs(parts, container.id, undo)
    failpoint("containers.start.after_rootfs")
    owner = prepare.network_owner(parts, container)
    async with prepare.user_namespace(parts, container, undo) as (users, fresh):
        namespace, sysctls = await _network(parts, container, owner, undo, fresh)
    failpoint("containers.start.after_network")
    ready = await prepare.mounts(parts, container, undo)
    if users is not None:
        await offload.run("fs", prepare.hand_over, parts, container, owner, users.owners)
    failpoint("containers.start.after_mounts")
    if users is None:
        _make_working_directory(rootfs, record.config.working_dir)
    else:
        await offload.run_disposable(
            _make_working_directory, rootfs, record.config.working_dir, users.owners
        )
    own_files = prepare.own_files(parts, container, owner)
    labelling.own_files(parts, record, own_files, shared=owner is not container)
    around = Surroundings(
        rootfs=str(rootfs),
        identity=prepare.identity(rootfs, record.config.user, host.group_add or []),
        hostname=owner.record.config.hostname,
        network_namespace=namespace,
        users=users,
        sysctls=sysctls,
        mounts=[*ready, *_init(parts, host)],
        files=own_files,
        shm_source=_shared_memory(parts, container, undo),
        tmpfs_modes=_tmpfs_modes(rootfs, record),
        pid_namespace=_namespace(parts, host.pid_mode, "pid"),
        ipc_namespace=_namespace(parts, host.ipc_mode, "ipc"),
        given_devices=await _devices(host),
        links_environment=_links_environment(parts, record),
        init=spec_from_config.wants_init(host, default=parts.settings.init),
        confinement=security.confine(
            parts.settings,
            record,
            spec_from_config.granted(host, parts.facts),
            apparmor_profile=profile,
            labels=Labels(
                parts.runtime.selinux.applied(record.process_label),
                parts.runtime.selinux.applied(record.mount_label),
            ),
        ),
    )
    return injection.apply(spec_from_config.build(record, around, parts.facts), injected)


async def _network(
    parts: Parts,
    container: Container,
    owner: Container,
    undo: AsyncExitStack,
    fresh: int | None,
) -> tuple[str | None, dict[str, str]]:
    """Return the namespace to join (None: the host's) and the sysctls that the runtime sets.

    *fresh*: a namespace of the container's users to use for it.
    """
    if owner is container:
        sandbox = await prepare.join_networks(parts, container, undo, namespace=fresh)
        return str(sandbox.key) if sandbox.key else None, sandbox.sysctls
    if owner.record.host_config.network_mode == "host":
        return None, {}
    return parts.networks.settings(owner.id).sandbox_key, {}


async def _injected(parts: Parts, host: HostConfig) -> injection.Injection:
    """Return what the requested devices change in the specification."""
    if not host.device_requests:
        return injection.NOTHING
    asked = host.device_requests

    def look() -> injection.Injection:
        catalogue = parts.cdi.read()
        return injection.prepare(catalogue.edits(requests.devices(asked, catalogue)))

    return await offload.run_disposable(look)


async def _devices(host: HostConfig) -> devices.GivenDevices:
    if host.privileged:
        return await offload.run("fs", devices.all_of_host)
    if host.devices:
        return await offload.run_disposable(devices.resolve, host.devices)
    return devices.GivenDevices()


def _init(parts: Parts, host: HostConfig) -> list[ReadyMount]:
    if not spec_from_config.wants_init(host, default=parts.settings.init):
        return []
    return [init_program.mount(init_program.find(parts.settings.init_path))]


def _tmpfs_modes(rootfs: Path, record: ContainerRecord) -> dict[str, int]:
    """Return the modes of the directories that a tmpfs is to hide, by their paths as given."""
    paths = [path.rstrip("/") for path in record.host_config.tmpfs or {}]
    paths += [mount.destination for mount in record.mounts if mount.type == "tmpfs"]
    if not paths:
        return {}
    modes: dict[str, int] = {}
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            with suppress(OSError):  # it is not there, and will be made
                fd = openat2.openat2(root_fd, path, os.O_PATH | os.O_DIRECTORY)
                try:
                    modes[path] = stat.S_IMODE(os.fstat(fd).st_mode)
                finally:
                    os.close(fd)
    finally:
        os.close(root_fd)
    return modes


def _namespace(parts: Parts, mode: str, kind: str) -> str | None:
    """Return the namespace of a ``container:`` mode to join."""
    other = prepare.other_container(parts, mode, f"{kind.upper()} namespace")
    return f"/proc/{other.running_task().pid}/ns/{kind}" if other else None


def _shared_memory(parts: Parts, container: Container, undo: AsyncExitStack) -> str:
    """Return the directory to show as /dev/shm, "" for one of the container's own."""
    mode = container.record.host_config.ipc_mode
    if mode == "shareable":
        return prepare.make_shared_memory(parts, container, undo)
    donor = prepare.other_container(parts, mode, "IPC namespace")
    if donor is None:
        return ""
    if donor.record.host_config.ipc_mode != "shareable":
        raise InvalidParameter(
            f"failed to join IPC namespace: container {donor.id}: non-shareable IPC"
            " (hint: use IpcMode:shareable for the donor container)"
        )
    return str(parts.runtime_directory(donor.id) / "shm")


def _links_environment(parts: Parts, record: ContainerRecord) -> list[str]:
    linked = links.resolve(parts.store, record.host_config)
    if not linked:
        return []
    addresses: dict[str, str] = {}
    for other, _ in linked:
        networks = parts.networks.settings(other.id).networks
        found = next((n.ip_address for n in networks.values() if n.ip_address), "")
        addresses[other.id] = found
    return links.environment(record.name, linked, addresses)


def _make_working_directory(rootfs: Path, path: str, owners: IdMap | None = None) -> None:
    """Make the working directory where the image has none, inside the root only.

    With *owners* as their root: then the thread is spoilt for anything else.
    """
    if not path or path == "/":
        return
    if owners is not None:
        act_as(*owners.root)
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(openat2.openat2(root_fd, path, os.O_PATH | os.O_DIRECTORY))
    except FileNotFoundError:
        prepare.make_directories(root_fd, path)
    except OSError:
        pass  # a file is there, or it lies in a mount: the runtime says what is wrong
    finally:
        os.close(root_fd)
