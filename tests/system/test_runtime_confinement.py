"""What a container must not reach: paths of the kernel, the monitors' sockets, more rights."""

from __future__ import annotations

import secrets
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.runtime.contract import ProcessIO
from moorage.spec.oci import runtime as oci
from support.bundles import Bench, bench, collect

pytestmark = pytest.mark.requires("root", "crun")


@pytest.fixture
async def b(kit_root: Path) -> AsyncIterator[Bench]:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as opened:
        yield opened


async def test_r16_kernel_paths_are_masked_or_read_only(b: Bench) -> None:
    script = """
        for f in kcore keys timer_list interrupts; do
            [ -e /proc/$f ] && head -c 1 /proc/$f 2>/dev/null | wc -c
        done
        ls /sys/firmware
        for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/profiling; do
            [ -e $f ] && (echo x > $f) 2>/dev/null && echo "written: $f"
        done
        true
    """
    code, out, _ = await b.run("sh", "-c", script)
    assert code == 0
    assert set(out.split()) <= {"0"}


async def test_r9_inheritable_capabilities_are_empty_on_run_and_exec(b: Bench) -> None:
    """CVE-2022-24769: else a program of an ordinary user could take them up."""
    task = await b.create("sh", "-c", "grep CapInh /proc/self/status; sleep 100")
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    first = await attachment.read()
    assert first == (1, b"CapInh:\t0000000000000000\n")
    await attachment.close()
    held = ["CAP_CHOWN"]
    process = oci.Process(
        user=oci.User(uid=0, gid=0),
        args=["grep", "-E", "CapInh|CapEff", "/proc/self/status"],
        cwd="/",
        env=["PATH=/bin"],
        capabilities=oci.LinuxCapabilities(bounding=held, effective=held, permitted=held),
    )
    run = await task.exec("e1", process, ProcessIO())
    attachment = await run.attach(stdin=False, stdout=True, stderr=True)
    await run.start()
    out, _ = await collect(attachment)
    assert out == b"CapInh:\t0000000000000000\nCapEff:\t0000000000000001\n"
    await run.delete()
    await task.delete()


async def test_r17_monitors_have_no_abstract_sockets(b: Bench) -> None:
    """CVE-2020-15257: with the host's network a container could talk to them."""
    task = await b.create("sleep", "100", io=ProcessIO(tty=True))
    await task.start()
    named = _socket_names(b.monitor_at_work(task))
    assert named
    assert not [name for name in named if name.startswith("@")]
    directory = b.root / "exec" / "tasks"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / task.container_id).stat().st_mode) == 0o700
    await task.delete()


def _socket_names(pid: int) -> list[str]:
    links = (link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {name[8:-1] for name in links if name.startswith("socket:")}
    sockets = (line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    return [fields[7] for fields in sockets if fields[6] in inodes and len(fields) > 7]


async def test_host_limits_bound_the_containers(b: Bench) -> None:
    """Without CAP_SYS_RESOURCE a higher limit than ours would fail in the runtime."""
    spec = b.spec("sh", "-c", "ulimit -Hn")
    assert spec.process is not None
    process = oci.Process(
        user=oci.User(uid=0, gid=0),
        args=spec.process.args,
        cwd="/",
        env=spec.process.env,
        rlimits=[oci.POSIXRlimit(type="RLIMIT_NOFILE", hard=1 << 20, soft=512)],
    )
    limited = oci.Spec(
        oci_version=oci.VERSION,
        process=process,
        root=spec.root,
        mounts=spec.mounts,
        linux=spec.linux,
    )
    task = await b.runtime.create(secrets.token_hex(8), spec=limited, io=ProcessIO())
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    out, _ = await collect(attachment)
    assert 512 <= int(out) <= 1 << 20
    await task.delete()
