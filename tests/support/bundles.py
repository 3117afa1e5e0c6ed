"""A runtime without a daemon: bundles from the machine's busybox."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from moorage.lib.tasks import Supervisor
from moorage.runtime import defaults, seccomp_default, seccomp_profile
from moorage.runtime.attachment import Attachment
from moorage.runtime.contract import ExitStatus, ProcessIO
from moorage.runtime.service import Runtime
from moorage.runtime.task import Task
from moorage.spec.oci import runtime as oci

NAMESPACES = ("pid", "network", "mount", "ipc", "uts")
APPLETS = (
    "sh cat echo sleep true false id grep ls stty tty head tr dd sha256sum kill printf mkdir mount"
    " unshare chroot wc test seq yes"
).split()


@dataclass(slots=True)
class Bench:
    """One runtime under a root of its own, and what is needed to use it."""

    runtime: Runtime
    root: Path
    ooms: list[str] = field(default_factory=list)

    @property
    def parent(self) -> str:
        """The parent of the cgroups of these tests."""
        return f"/{self.root.name}"

    def log(self, name: str = "log") -> Path:
        """Return a place for a log."""
        return self.root / name

    def spec(
        self,
        *args: str,
        capabilities: Sequence[str] = defaults.CAPABILITIES,
        resources: oci.LinuxResources | None = None,
        namespaces: Sequence[str] = NAMESPACES,
        confined: bool = True,
        cwd: str = "/",
    ) -> oci.Spec:
        """Return what a container with Docker's defaults is."""
        held = list(capabilities)
        profile = seccomp_profile.resolve(seccomp_default.PROFILE, held) if confined else None
        return oci.Spec(
            oci_version=oci.VERSION,
            hostname="box",
            process=oci.Process(
                user=oci.User(uid=0, gid=0),
                args=list(args),
                cwd=cwd,
                env=["PATH=/bin"],
                capabilities=oci.LinuxCapabilities(bounding=held, effective=held, permitted=held),
            ),
            root=oci.Root(path=str(self.root / "rootfs")),
            mounts=defaults.mounts(),
            linux=oci.Linux(
                namespaces=[oci.LinuxNamespace(type=kind) for kind in namespaces],
                cgroups_path=f"{self.parent}/{secrets.token_hex(8)}",
                resources=resources or oci.LinuxResources(devices=defaults.device_rules()),
                seccomp=profile,
                masked_paths=defaults.masked_paths(),
                readonly_paths=defaults.readonly_paths(),
            ),
        )

    async def create(
        self, *args: str, io: ProcessIO | None = None, runtime: str | None = None, **spec: object
    ) -> Task:
        """Create a container under a fresh id."""
        return await self.runtime.create(
            secrets.token_hex(32),
            runtime=runtime,
            spec=self.spec(*args, **spec),  # type: ignore[arg-type]
            io=io or ProcessIO(),
        )

    async def run(
        self, *args: str, io: ProcessIO | None = None, runtime: str | None = None, **spec: object
    ) -> tuple[int, str, str]:
        """Run to the end; return code, stdout, stderr."""
        task = await self.create(*args, io=io, runtime=runtime, **spec)
        try:
            attachment = await task.attach(stdin=False, stdout=True, stderr=True)
            await task.start()
            out, err = await collect(attachment)
            return (await task.wait()).code, out.decode(), err.decode()
        finally:
            await task.delete()

    def monitor_of(self, task: Task) -> int:
        """Return the pid of the keeper of a container's monitors."""
        path = self.root / "exec" / "tasks" / task.container_id / "task.json"
        return int(json.loads(path.read_text())["monitor"])

    def monitor_at_work(self, task: Task) -> int:
        """Return the pid of the monitor that the keeper has now, 0 if there is none."""
        with suppress(OSError):
            keeper = self.monitor_of(task)
            children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text()
            for pid in map(int, children.split()):
                if Path(f"/proc/{pid}/comm").read_text() == "moor-monitor\n":
                    return pid
        return 0

    async def rest(self, *tasks: Task) -> None:
        """Wait until the monitors have come to rest."""
        for task in tasks:
            await until(lambda task=task: not self.monitor_at_work(task), within_s=60)  # type: ignore[misc]

    def leftovers(self) -> list[str]:
        """Return what must not be there when no container is."""
        found = [str(path) for path in (self.root / "exec" / "tasks").iterdir()]
        for runtime in (self.root / "exec" / "runtimes").iterdir():
            found += [str(path) for path in runtime.iterdir()]
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            group = hierarchy / self.root.name
            if group.is_dir():
                found += [str(path) for path in group.iterdir() if path.is_dir()]
        return found


async def collect(attachment: Attachment) -> tuple[bytes, bytes]:
    """Read to the end; return stdout and stderr."""
    streams = {1: bytearray(), 2: bytearray()}
    while (piece := await attachment.read()) is not None:
        streams[piece[0]] += piece[1]
    await attachment.close()
    return bytes(streams[1]), bytes(streams[2])


async def read_until(attachment: Attachment, wanted: bytes) -> bytes:
    """Read until *wanted* has come."""
    seen = b""
    while wanted not in seen:
        piece = await attachment.read()
        assert piece is not None, f"ended before {wanted!r}: {seen!r}"
        seen += piece[1]
    return seen


def make_rootfs(path: Path) -> None:
    """Fill a root file system."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        (path / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin" / "busybox")
    for applet in APPLETS:
        (path / "bin" / applet).symlink_to("busybox")
    (path / "etc" / "plain").write_text("no program\n")


@asynccontextmanager
async def bench(root: Path, *, default: str = "crun") -> AsyncIterator[Bench]:
    """Open a runtime under *root*; afterwards nothing may be left of its containers."""
    if not (root / "rootfs").exists():
        make_rootfs(root / "rootfs")
    supervisor = Supervisor("test")
    ooms: list[str] = []
    runtime = Runtime(
        exec_root=root / "exec",
        state_root=root / "state",
        runtimes={},
        default=default,
        supervisor=supervisor,
        on_oom=ooms.append,
    )
    await runtime.open()
    here = Bench(runtime, root, ooms)
    try:
        yield here
        await until(lambda: not here.leftovers())
    finally:
        await runtime.close()
        await supervisor.close()
        _remove_groups(root.name)


def _remove_groups(name: str) -> None:
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        if (hierarchy / name).is_dir():
            (hierarchy / name).rmdir()


async def until(met: Callable[[], bool], *, within_s: float = 10) -> None:
    """Wait for a condition that nothing announces."""
    async with asyncio.timeout(within_s):
        while not met():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def ended(task: Task) -> ExitStatus:
    """Wait for the end, but not for ever."""
    async with asyncio.timeout(20):
        return await task.wait()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def fd_names(pid: int) -> list[str]:
    """Return the numbers of the open descriptors of a process."""
    return sorted(os.listdir(f"/proc/{pid}/fd"))
