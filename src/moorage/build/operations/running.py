"""RUN: a command in a container of its own on a writable layer, with its mounts and its network.

Everything made for a command is undone in reverse, whether it succeeds, fails or is cancelled.
What is mounted is opened below the root it belongs to first, and bound by that descriptor to a
staging place of the daemon's, so a link swapped meanwhile leads nowhere (CVE-2024-23651).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from moorage.build.files.copy import Copier, Style
from moorage.build.files.select import Selected
from moorage.build.graph import Exec, ExecMount, Limits, Vertex
from moorage.build.needs import CommandNetworks
from moorage.build.operations import emulation, exec_spec, remapped, whole
from moorage.build.operations.cachemounts import CacheMounts
from moorage.build.operations.exec_spec import Around
from moorage.build.operations.redact import Redactor
from moorage.build.operations.remapped import Users
from moorage.build.operations.stubs import Target, maker
from moorage.build.recovery import new_layer_id
from moorage.build.recovery import remove as remove_staging
from moorage.build.result import Files, Result, Snapshot
from moorage.build.session import Session
from moorage.build.solver import Step
from moorage.build.views import Views
from moorage.cdi import injection
from moorage.cdi.directories import Directories
from moorage.cdi.injection import Injection
from moorage.kernel import mount as kernel_mount
from moorage.kernel.openat2 import openat2
from moorage.lib import offload
from moorage.lib.errors import InvalidParameter, MoorageError, NotFound
from moorage.lib.failpoint import failpoint
from moorage.runtime import selinux_label, users
from moorage.runtime.attachment import Attachment
from moorage.runtime.contract import ExitStatus, ProcessIO
from moorage.runtime.selinux_label import Labels
from moorage.runtime.service import Runtime
from moorage.runtime.userns import UserNamespace
from moorage.spec.oci.runtime import LinuxSeccomp, Mount, Spec
from moorage.spec.platforms import Platform
from moorage.storage.layers import LayerStore

_NAME_FILES: Final = ("/etc/hosts", "/etc/resolv.conf")
_NO_LAYER: Final = ("/dev/", "/proc/", "/sys/")  # what lies there is no part of an image
_NOT_FOUND: Final = 127  # what shells return
_OUTPUT_LIMIT: Final = 2 << 20  # bytes of one command's output that are kept, as BuildKit


class CommandFailed(MoorageError):
    """A command ended with another code than 0."""

    def __init__(self, arguments: Sequence[str], status: ExitStatus, platform: Platform) -> None:
        self.command = " ".join(arguments)
        self.code = status.code
        reason = f"exit code: {status.code}"
        hint = None
        if status.oom_killed:
            reason += ": cannot allocate memory"
            hint = "the kernel ended it for want of memory; raise --memory"
        elif status.code == _NOT_FOUND:
            hint = "command not found: is it installed in an earlier step?"
        elif not emulation.can_run(platform):
            hint = (
                f"this machine cannot run programs of {platform}: register an emulator"
                " (apt-get install qemu-user-static binfmt-support), or give --platform"
            )
        super().__init__(
            f'process "{self.command}" did not complete successfully: {reason}', hint=hint
        )


@dataclass(slots=True)
class Host:
    """What a command runs on."""

    layers: LayerStore
    views: Views
    runtime: Runtime
    networks: CommandNetworks
    cdi: Directories
    cache_mounts: CacheMounts
    staging: Path  # on tmpfs, 0700: secrets, staging places of mounts
    seccomp: LinuxSeccomp | None
    cpus: int = 1
    cgroup_v2: bool = False
    labels: dict[str, str] = field(default_factory=dict)  # mount labels of what runs, by its id


class Running:
    """One command."""

    def __init__(
        self, host: Host, vertex: Vertex, inputs: Sequence[Result], limits: Limits
    ) -> None:
        assert isinstance(vertex.operation, Exec)  # noqa: S101 - the worker chose by this
        self.command = vertex.operation
        self.vertex = vertex
        self.id = new_layer_id()
        self._host = host
        self._inputs = inputs
        self._limits = limits
        self._undo = AsyncExitStack()
        self._directory = host.staging / self.id
        self._extra_environment: list[str] = list(vertex.proxy)
        self._secrets: list[bytes] = []
        self._users = Users()
        self._labels = Labels()

    async def run(self, session: Session, step: Step) -> None:
        """Run the command; its changes are in the writable layer ``id`` until ``remove``.

        Raises: CommandFailed, NotFound (a secret or source), InvalidParameter, StartFailed.
        """
        async with self._undo as undo:
            undo.push_async_callback(offload.run, "fs", remove_staging, self._directory)
            self._take_labels()
            await whole.blocking(self._directory.mkdir, 0o700, True)  # noqa: FBT003 - parents
            lent = remapped.lend(self._host.layers.owners, self.command)
            self._users = await undo.enter_async_context(lent)
            undo.push_async_callback(self._host.networks.leave, self.id)
            namespace = await self._host.networks.join(
                self.id, self.command.network, self.command.extra_hosts, self._users.network
            )
            failpoint("build.run.after_network")
            mounts, targets = await self._mounts(session)
            injected = await whole.blocking(self._devices)
            targets += [_target(mount) for mount in injected.mounts if _is_in_layer(mount)]
            for path, content in zip(
                _NAME_FILES, (namespace.hosts, namespace.resolv_conf), strict=True
            ):
                file = self._directory / path.rsplit("/", 1)[1]
                file.write_bytes(content)
                file.chmod(0o644)
                self._users.give(file)
                mounts.insert(0, _bind(file, path, readonly=False))
            undo.push_async_callback(offload.run, "fs", self._host.layers.unmount_rw, self.id)
            root = await whole.blocking(self._make_root, targets)
            failpoint("build.run.after_mount")
            profile = await self._host.runtime.apparmor.profile(
                None, privileged=self.command.insecure
            )
            users = await whole.blocking(self._user_namespace) if self._users.owners else None
            identity = await whole.blocking(_identity, root, self.command.user)
            spec = exec_spec.build(
                self.command,
                self._limits,
                Around(
                    id=self.id,
                    root=str(root),
                    identity=identity,
                    network_namespace=namespace.path,
                    mounts=mounts,
                    environment=self._extra_environment,
                    cpus=self._host.cpus,
                    cgroup_v2=self._host.cgroup_v2,
                    cgroup_driver=self._host.runtime.fitness.cgroup_driver,
                    apparmor_profile=profile,
                    labels=self._labels,
                    users=users,
                ),
                self._host.seccomp,
            )
            await self._execute(injection.apply(spec, injected), step)

    def _take_labels(self) -> None:
        options = [selinux_label.DISABLE] if self.command.insecure else []
        self._labels = self._host.runtime.selinux.take(options)
        self._host.labels[self.id] = self._labels.mount
        self._undo.callback(self._host.labels.pop, self.id)

    async def remove(self) -> None:
        """Remove the writable layer; absent is fine."""
        await whole.blocking(self._host.layers.remove_rw, self.id)

    def _user_namespace(self) -> UserNamespace | None:
        data = self._host.layers.driver.root
        roots = {self._directory: self._host.staging.parent.parent, data: data.parent.parent.parent}
        return self._users.namespace(self._directory, roots)

    def _make_root(self, targets: list[Target]) -> Path:
        base = self._inputs[0]
        parent = base.chain_id if isinstance(base, Snapshot) else None
        label = self._labels.mount
        self._host.layers.create_rw(self.id, parent=parent, stubs=maker(targets), label=label)
        return self._host.layers.mount_rw(self.id)

    def _devices(self) -> Injection:
        """Look at the devices of the command.

        Raises: System, InvalidParameter (a node that would stay in the image).
        """
        if not self.command.devices:
            return injection.NOTHING
        found = injection.prepare(self._host.cdi.read().edits(self.command.devices))
        for node in found.nodes:
            if not node.path.startswith(_NO_LAYER):
                raise InvalidParameter(
                    f"device node {node.path} cannot be given to a build step:"
                    " outside /dev it would become a part of the image"
                )
        return found

    async def _execute(self, spec: Spec, step: Step) -> None:
        task = await whole.finish(
            self._host.runtime.create(self.id, spec=spec, io=ProcessIO()),
            lambda made: made.delete(),
        )
        self._undo.push_async_callback(task.delete)
        output = await task.attach(stdin=False, stdout=True, stderr=True)
        self._undo.push_async_callback(output.close)
        failpoint("build.run.before_start")
        await task.start()
        await self._pass_output(output, step)
        status = await task.wait()
        if status.code != 0:
            raise CommandFailed(self.command.arguments, status, self.vertex.platform)

    async def _pass_output(self, output: Attachment, step: Step) -> None:
        redactors = {1: Redactor(self._secrets), 2: Redactor(self._secrets)}
        left = _OUTPUT_LIMIT
        while (found := await output.read()) is not None:
            stream, chunk = found
            shown = redactors[stream].feed(chunk)
            if shown and left > 0:
                step.log(stream, shown[:left])
                left -= len(shown)
                if left <= 0:
                    step.log(2, b"\n[output clipped, log limit 2MiB reached]\n")
        for stream, redactor in redactors.items():
            if (rest := redactor.finish()) and left > 0:
                step.log(stream, rest)

    # --- mounts --------------------------------------------------------------------------------

    async def _mounts(self, session: Session) -> tuple[list[Mount], list[Target]]:
        mounts: list[Mount] = []
        targets: list[Target] = []
        for number, mount in enumerate(self.command.mounts):
            made = await self._mount(mount, number, session)
            if made is None:
                continue
            oci, is_directory = made
            mounts.append(oci)
            if _is_in_layer(oci):
                targets.append(Target(oci.destination, is_directory))
        return mounts, targets

    async def _mount(
        self, mount: ExecMount, number: int, session: Session
    ) -> tuple[Mount, bool] | None:
        if mount.content is not None:
            path = self._directory / f"script{number}"
            path.write_bytes(mount.content.encode("utf-8", "surrogateescape"))
            path.chmod(mount.mode or 0o755)
            return _bind(path, mount.target, readonly=True), False
        match mount.kind:
            case "tmpfs":
                size = [f"size={mount.size_bytes}"] if mount.size_bytes else []
                options = ["nosuid", "nodev", *size]
                return Mount(
                    destination=mount.target, type="tmpfs", source="tmpfs", options=options
                ), True
            case "secret":
                return await self._secret(mount, number, session)
            case "ssh":
                return await self._agent(mount, session)
            case "cache":
                return await self._cache(mount, number)
            case _:
                return await self._bind_input(mount, number)

    async def _secret(
        self, mount: ExecMount, number: int, session: Session
    ) -> tuple[Mount, bool] | None:
        value = await session.secret(mount.id)
        if value is None:
            if mount.required:
                raise NotFound(f"secret {mount.id}: not found", hint="give it with --secret")
            return None
        self._secrets.append(value)
        if mount.env is not None:
            name = mount.env or mount.id
            self._extra_environment.append(f"{name}={value.decode('utf-8', 'surrogateescape')}")
            if not mount.target:
                return None
        path = self._directory / f"secret{number}"
        _write_secret(path, value, mount, self._users.owner(mount.uid, mount.gid))
        return _bind(path, mount.target, readonly=True), False

    async def _agent(self, mount: ExecMount, session: Session) -> tuple[Mount, bool] | None:
        socket = await session.agent(mount.id)
        if socket is None:
            if mount.required:
                raise NotFound(f"unset ssh forward key {mount.id}", hint="give an agent with --ssh")
            return None
        os.chown(socket, *self._users.owner(mount.uid, mount.gid))
        socket.chmod(mount.mode if mount.mode is not None else 0o600)
        if not any(pair.startswith("SSH_AUTH_SOCK=") for pair in self._extra_environment):
            self._extra_environment.append(f"SSH_AUTH_SOCK={mount.target}")
        return _bind(socket, mount.target, readonly=False), False

    async def _cache(self, mount: ExecMount, number: int) -> tuple[Mount, bool]:
        base, populate = "", None
        if mount.input is not None:
            root, base = await self._input_root(mount.input, number, mapped=False)

            def populate(path: Path) -> None:
                _fill(root, mount.source, path)

        directory = await self._undo.enter_async_context(
            self._host.cache_mounts.use(mount, base + mount.source, populate)
        )
        inner = mount.source if mount.input is None else ""
        directory = await self._show(directory, number)
        staged, _ = await whole.blocking(self._stage, directory, inner, number)
        return _bind(staged, mount.target, readonly=mount.readonly), True

    async def _bind_input(self, mount: ExecMount, number: int) -> tuple[Mount, bool]:
        assert mount.input is not None  # noqa: S101 - the frontend gives every bind its input
        root, _ = await self._input_root(mount.input, number, mapped=True)
        if not mount.readonly:
            root = await whole.blocking(self._throw_away, root, number)
        staged, is_directory = await whole.blocking(self._stage, root, mount.source, number)
        return _bind(staged, mount.target, readonly=mount.readonly), is_directory

    async def _show(self, directory: Path, number: int) -> Path:
        """Return where the owners in *directory* are seen as inside."""
        if self._users.owners is None:
            return directory
        place = self._directory / f"mapped{number}"
        self._unmount_later(place)
        return await whole.blocking(self._users.show, directory, place)

    async def _input_root(self, index: int, number: int, *, mapped: bool) -> tuple[Path, str]:
        """Return where the files of an input are, and what identifies them.

        *mapped*: owners are seen as inside, if the two differ.
        """
        found = self._inputs[index]
        if isinstance(found, Files):
            return await self._show(found.root, number) if mapped else found.root, found.identity
        if found.chain_id is None:
            empty = self._directory / f"empty{number}"
            empty.mkdir()
            return empty, ""
        views = self._host.views
        key = await whole.finish(
            offload.run("fs", views.mount, found.chain_id, mapped=mapped),
            lambda made: offload.run("fs", views.unmount, made),
        )
        self._undo.push_async_callback(offload.run, "fs", views.unmount, key)
        root = await offload.run("fs", views.path, key, found.chain_id, mapped=mapped)
        return root, found.chain_id

    def _stage(self, root: Path, source: str, number: int) -> tuple[Path, bool]:
        """Bind *source* below *root* to a place of ours; say whether it is a directory."""
        root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fd = openat2(root_fd, source.strip("/") or ".", os.O_PATH)
            except FileNotFoundError as error:
                raise NotFound(f'failed to compute cache key: "{source}": not found') from error
            except OSError as error:
                raise InvalidParameter(f"invalid mount source {source}: {error}") from error
        finally:
            os.close(root_fd)
        try:
            place = self._directory / f"mount{number}"
            is_directory = (os.fstat(fd).st_mode & 0o170000) == 0o040000
            if is_directory:
                place.mkdir()
            else:
                place.touch()
            self._unmount_later(place)
            kernel_mount.mount(f"/proc/self/fd/{fd}", place, None, kernel_mount.MS_BIND)
            kernel_mount.mount("none", place, None, kernel_mount.MS_PRIVATE)
        finally:
            os.close(fd)
        return place, is_directory

    def _throw_away(self, root: Path, number: int) -> Path:
        """Lay a writable directory over *root* whose changes are forgotten."""
        work = self._directory / f"throwaway{number}"
        for name in ("upper", "work", "merged"):
            (work / name).mkdir(parents=True)
        self._users.give(work / "upper")
        merged = work / "merged"
        options = f"lowerdir={root},upperdir={work / 'upper'},workdir={work / 'work'}"
        self._unmount_later(merged)
        kernel_mount.mount("overlay", merged, "overlay", 0, options)
        return merged

    def _unmount_later(self, place: Path) -> None:
        self._undo.push_async_callback(offload.run, "fs", _unmount, place)


def _is_in_layer(mount: Mount) -> bool:
    """Tell whether the place it needs lies in the step's own root file system."""
    return not mount.destination.startswith(_NO_LAYER)


def _target(mount: Mount) -> Target:
    source = Path(mount.source or "")
    return Target(mount.destination, mount.type != "bind" or source.is_dir())


def _unmount(place: Path) -> None:
    """Unmount; not mounted is fine."""
    with suppress(OSError):
        kernel_mount.umount2(place, kernel_mount.MNT_DETACH | kernel_mount.UMOUNT_NOFOLLOW)


def _bind(source: Path, target: str, *, readonly: bool) -> Mount:
    options = ["rbind", "rprivate", "ro" if readonly else "rw"]
    return Mount(destination=target, type="bind", source=str(source), options=options)


def _write_secret(path: Path, value: bytes, mount: ExecMount, owner: tuple[int, int]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(value)
        os.fchown(fd, *owner)
        os.fchmod(fd, mount.mode if mount.mode is not None else 0o400)


def _identity(root: Path, user: str) -> users.Identity:
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return users.look_up(user, users.read_user_files(root_fd))
    finally:
        os.close(root_fd)


def _fill(root: Path, source: str, target: Path) -> None:
    """Copy the directory *source* below *root* into *target*."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        Copier(target_fd, Style()).copy(
            root_fd, Selected(source.strip("/"), "", is_directory=True), "/", into_directory=True
        )
    finally:
        os.close(target_fd)
        os.close(root_fd)
