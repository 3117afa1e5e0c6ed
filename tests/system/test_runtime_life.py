"""Containers through the OCI runtime and a monitor: life, streams, limits, the end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.lib.errors import Conflict, InvalidParameter, System
from moorage.logs import reader
from moorage.logs.selection import Selection
from moorage.runtime.contract import ProcessIO, StartFailed
from moorage.spec.oci import runtime as oci
from support.bundles import Bench, alive, bench, collect, ended, fd_names, read_until, until

pytestmark = pytest.mark.requires("root", "crun")
BOTH = pytest.mark.parametrize("runtime", ["crun", "runc"])
MB = 1 << 20


@pytest.fixture
async def b(kit_root: Path) -> AsyncIterator[Bench]:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as opened:
        yield opened


def process(*args: str) -> oci.Process:
    return oci.Process(
        user=oci.User(uid=0, gid=0),
        args=list(args),
        cwd="/",
        env=["PATH=/bin"],
        capabilities=oci.LinuxCapabilities(),
    )


@BOTH
async def test_output_code_and_confinement(b: Bench, runtime: str) -> None:
    script = "echo out; echo err >&2; grep Seccomp: /proc/self/status; exit 3"
    code, out, err = await b.run("sh", "-c", script, runtime=runtime)
    assert (code, out, err) == (3, "out\nSeccomp:\t2\n", "err\n")


@BOTH
async def test_program_that_cannot_be_run_leaves_nothing(b: Bench, runtime: str) -> None:
    for program, code in (("absent", 127), ("/absent", 127), ("/etc/plain", 126), ("/etc", 126)):
        with pytest.raises(StartFailed, match=r"exec: ") as caught:
            await b.create(program, runtime=runtime)
        assert caught.value.exit_code == code
        assert b.leftovers() == []


async def test_bad_requests(b: Bench) -> None:
    with pytest.raises(InvalidParameter, match="unknown or invalid runtime name: nope"):
        await b.create("true", runtime="nope")
    with pytest.raises(InvalidParameter, match="invalid id"):
        await b.runtime.create("../x", spec=b.spec("true"), io=ProcessIO())
    with pytest.raises(System, match="failed to initialize logging driver"):
        await b.create("true", io=ProcessIO(log_driver="json-file", log_path=Path("/no/such/x")))
    with pytest.raises(System, match="chdir `/etc/plain`: not a directory"):
        await b.create("true", cwd="/etc/plain")


async def test_r1_no_descriptor_of_the_host_is_in_a_container_or_an_exec(b: Bench) -> None:
    """CVE-2024-21626: one would be a way out to the host's file system."""
    leaked = os.open("/", os.O_RDONLY)
    os.set_inheritable(leaked, True)  # noqa: FBT003 - the parameter has no name
    task = await b.create("sleep", "100")
    os.close(leaked)
    await task.start()
    await until(lambda: Path(f"/proc/{task.pid}/comm").read_text() == "sleep\n")
    assert fd_names(task.pid) == ["0", "1", "2"]
    run = await task.exec("e1", process("ls", "/proc/self/fd"), ProcessIO())
    attachment = await run.attach(stdin=False, stdout=True, stderr=True)
    await run.start()
    assert (await collect(attachment))[0].split() == [b"0", b"1", b"2", b"3"]
    await run.delete()
    await task.delete()


async def test_crun_runs_from_a_copy_that_no_container_can_change(b: Bench) -> None:
    task = await b.create("sleep", "100")
    assert os.readlink(f"/proc/{task.pid}/exe").startswith("/memfd:crun")  # waits for its start
    await task.start()
    await until(lambda: not os.readlink(f"/proc/{task.pid}/exe").startswith("/memfd:"))
    await task.delete()


async def test_system_calls_that_docker_refuses(b: Bench) -> None:
    script = "unshare -U true || echo no-userns; mount -t tmpfs t /tmp || echo no-mount"
    _, out, _ = await b.run("sh", "-c", script)
    assert out == "no-userns\nno-mount\n"


@BOTH
async def test_process_waits_for_its_start(b: Bench, runtime: str) -> None:
    task = await b.create("echo", "x", runtime=runtime)
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    assert alive(task.pid)
    assert task.exit_status is None
    await task.start()
    assert (await collect(attachment))[0] == b"x\n"
    assert (await ended(task)).code == 0
    await task.delete()
    await task.delete()


async def test_several_clients_of_one_terminal(b: Bench) -> None:
    io = ProcessIO(tty=True, open_stdin=True, stdin_once=True, console_size=(24, 80))
    task = await b.create("sh", io=io)
    first = await task.attach(stdin=True, stdout=True, stderr=True)
    second = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    await first.write(b"stty size\n")
    await read_until(second, b"24 80")
    await task.resize(50, 132)
    await first.write(b"stty size\n")
    await read_until(second, b"50 132")
    await first.close_stdin()  # a terminal has no half-close
    await first.close()
    assert task.exit_status is None
    third = await task.attach(stdin=True, stdout=True, stderr=True)
    await third.write(b"exit 4\n")
    await collect(second)
    await collect(third)
    assert (await ended(task)).code == 4
    await task.delete()


async def test_stdin_closes_with_the_first_client_that_has_sent_all(b: Bench) -> None:
    content = os.urandom(2 * MB)
    task = await b.create("sha256sum", io=ProcessIO(open_stdin=True, stdin_once=True))
    attachment = await task.attach(stdin=True, stdout=True, stderr=True)
    await task.start()
    await attachment.write(content)
    await attachment.close_stdin()
    out, _ = await collect(attachment)
    assert out.split()[0].decode() == hashlib.sha256(content).hexdigest()
    await task.delete()


async def test_stdin_without_once_outlives_its_clients(b: Bench) -> None:
    task = await b.create("cat", io=ProcessIO(open_stdin=True))
    await task.start()
    for word in (b"one", b"two"):
        attachment = await task.attach(stdin=True, stdout=True, stderr=True)
        await attachment.write(word)
        await read_until(attachment, word)
        await attachment.close_stdin()
        await attachment.close()
    assert task.exit_status is None
    await task.delete()


async def test_slow_client_holds_back_and_loses_nothing(b: Bench) -> None:
    task = await b.create("sh", "-c", "seq 200000; echo done >&2")
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    first = await attachment.read()
    assert first is not None
    await asyncio.sleep(0.2)
    assert task.exit_status is None  # it waits for us
    out, err = await collect(attachment)
    assert (first[1] + out).decode() == "".join(f"{n}\n" for n in range(1, 200001))
    assert err == b"done\n"
    await task.delete()


async def test_client_that_goes_away_does_not_stop_the_process(b: Bench) -> None:
    task = await b.create("sh", "-c", "seq 200000; exit 6")
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    await attachment.read()
    await attachment.close()
    assert (await ended(task)).code == 6
    await task.delete()


async def test_process_that_closes_its_output_runs_on(b: Bench) -> None:
    code, out, _ = await b.run("sh", "-c", "echo x; exec >&- 2>&-; sleep 0.1; exit 8")
    assert (code, out) == (8, "x\n")


@BOTH
async def test_exec(b: Bench, runtime: str) -> None:
    task = await b.create("sleep", "100", runtime=runtime)
    await task.start()
    script = process("sh", "-c", "cat; grep Seccomp: /proc/self/status; exit 7")
    run = await task.exec("e1", script, ProcessIO(open_stdin=True, stdin_once=True))
    attachment = await run.attach(stdin=True, stdout=True, stderr=True)
    await run.start()
    assert run.pid in task.pids()
    await attachment.write(b"in\n")
    await attachment.close_stdin()
    assert await collect(attachment) == (b"in\nSeccomp:\t2\n", b"")
    assert (await ended(run)).code == 7
    await run.delete()
    # crun makes an exec's terminal without a size: the monitor sets it, as the program begins
    # (busybox's stty ends well, and is silent, where there is no size yet)
    waiting = 'until size=$(stty size 2>&1) && [ "${size#stty}" = "$size" ]; do sleep 0.01; done'
    script = process("sh", "-c", f'{waiting}; echo "$size"')
    terminal = await task.exec("e2", script, ProcessIO(tty=True, console_size=(3, 4)))
    attachment = await terminal.attach(stdin=True, stdout=True, stderr=True)
    await terminal.start()
    assert (await collect(attachment))[0] == b"3 4\r\n"
    await terminal.delete()
    await task.delete()


async def test_exec_that_cannot_be_run(b: Bench) -> None:
    task = await b.create("sleep", "100")
    await task.start()
    for number, (program, code) in enumerate((("absent", 127), ("/etc/plain", 126))):
        run = await task.exec(f"e{number}", process(program), ProcessIO())
        attachment = await run.attach(stdin=False, stdout=True, stderr=True)
        with pytest.raises(StartFailed, match="OCI runtime exec failed: exec failed") as caught:
            await run.start()
        assert caught.value.exit_code == code
        assert await collect(attachment) == (b"", b"")
        await run.delete()
    await task.signal(signal.SIGKILL)
    await ended(task)
    with pytest.raises(Conflict, match="is not running"):
        await task.exec("late", process("true"), ProcessIO())
    await task.delete()


async def test_exec_that_leaves_a_process_behind_ends_at_once(b: Bench) -> None:
    task = await b.create("sleep", "100")
    await task.start()
    run = await task.exec("e1", process("sh", "-c", "yes & echo up"), ProcessIO())
    attachment = await run.attach(stdin=False, stdout=True, stderr=True)
    await run.start()
    out, _ = await collect(attachment)
    assert b"up\n" in out
    assert (await ended(run)).code == 0
    await run.delete()
    assert len(task.pids()) == 2  # and is not stopped by a pipe that nobody reads
    await task.delete()


@BOTH
async def test_signals_and_exit_codes(b: Bench, runtime: str) -> None:
    script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done"
    task = await b.create("sh", "-c", script, runtime=runtime)
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    await read_until(attachment, b"up")
    await task.signal(signal.SIGTERM)
    assert (await ended(task)).code == 5
    await task.signal(signal.SIGTERM)  # ended: nobody else gets it
    await attachment.close()
    await task.delete()
    task = await b.create("sleep", "100", runtime=runtime)
    await task.start()
    await task.signal(signal.SIGKILL)
    status = await ended(task)
    assert (status.code, status.oom_killed, status.known) == (137, False, True)
    await task.delete()


async def test_pause_stops_and_resume_goes_on(b: Bench) -> None:
    task = await b.create("sh", "-c", "while :; do echo x; sleep 0.01; done")
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    await read_until(attachment, b"x")
    await task.pause()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read_until(attachment, b"never"), 0.2)
    await task.resume()
    await read_until(attachment, b"x")
    await task.pause()
    await attachment.close()
    await task.delete()  # also while paused


async def test_limits_and_statistics(b: Bench) -> None:
    task = await b.create("sleep", "100")
    await task.start()
    memory = oci.LinuxMemory(limit=64 * MB, swap=64 * MB)
    await task.update(oci.LinuxResources(memory=memory, pids=oci.LinuxPids(limit=50)))
    memory = oci.LinuxMemory(limit=128 * MB, swap=256 * MB)
    await task.update(oci.LinuxResources(memory=memory))
    stats = task.stats()
    assert stats.memory_stats is not None
    assert stats.memory_stats.limit == 128 * MB
    assert stats.pids_stats is not None
    assert (stats.pids_stats.current, stats.pids_stats.limit) == (1, 50)
    assert stats.cpu_stats is not None
    assert stats.cpu_stats.cpu_usage is not None
    assert stats.cpu_stats.cpu_usage.total_usage > 0
    with pytest.raises(System, match="cannot set memory"):
        await task.update(oci.LinuxResources(memory=oci.LinuxMemory(limit=4096, swap=1)))
    await task.delete()


@BOTH
async def test_out_of_memory_is_told(b: Bench, runtime: str) -> None:
    limits = oci.LinuxResources(memory=oci.LinuxMemory(limit=24 * MB, swap=24 * MB))
    task = await b.create(
        "sh", "-c", "x=a; while :; do x=$x$x; done", resources=limits, runtime=runtime
    )
    await task.start()
    status = await ended(task)
    assert (status.code, status.oom_killed) == (137, True)
    assert b.ooms == [task.container_id]
    await task.delete()


async def test_processes_left_in_a_shared_pid_namespace_are_killed(b: Bench) -> None:
    namespaces = ("network", "mount", "ipc", "uts")
    task = await b.create("sh", "-c", "sleep 1000 & echo $!; exit 2", namespaces=namespaces)
    attachment = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    out, _ = await collect(attachment)
    assert (await ended(task)).code == 2
    await until(lambda: not alive(int(out)))
    await task.delete()


async def test_log_is_written_and_rotated(b: Bench) -> None:
    options = {"max-size": "20k", "max-file": "3", "compress": "true"}
    io = ProcessIO(log_driver="json-file", log_path=b.log(), log_options=options)
    task = await b.create("sh", "-c", r"seq 3000; printf '\377 tail'", io=io)
    await task.start()
    await ended(task)
    await task.delete()
    await until((b.root / "log.1.gz").exists)
    last = [json.loads(line)["log"] for line in b.log().read_text().splitlines()][-2:]
    assert last == ["3000\n", "\ufffd tail"]
    assert sorted(p.name for p in b.root.glob("log*")) == ["log", "log.1.gz", "log.2.gz"]


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_follower_loses_nothing_over_rotations(b: Bench, driver: str) -> None:
    options = {"max-size": "100k", "max-file": "50", "compress": "true"}
    io = ProcessIO(log_driver=driver, log_path=b.log(), log_options=options)
    task = await b.create("seq", "40000", io=io)
    over = asyncio.Event()

    async def follow() -> bytes:
        selection = Selection(follow=True)
        pieces = reader.read(driver, b.log(), selection, ended=over)
        return b"".join([b"".join(texts) async for _, texts in pieces])

    following = asyncio.ensure_future(follow())
    await task.start()
    await ended(task)
    over.set()
    assert await following == "".join(f"{n}\n" for n in range(1, 40001)).encode()
    await task.delete()


async def test_cancelled_create_is_undone(b: Bench) -> None:
    async def create() -> None:
        task = await b.create("sleep", "100")
        await task.delete()

    for delay_s in (0.0, 0.004, 0.012):
        work = asyncio.ensure_future(create())
        await asyncio.sleep(delay_s)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    await until(lambda: b.leftovers() == [])


async def test_same_id_twice(b: Bench) -> None:
    task = await b.runtime.create("twin", spec=b.spec("sleep", "100"), io=ProcessIO())
    with pytest.raises(Conflict, match="already running"):
        await b.runtime.create("twin", spec=b.spec("true"), io=ProcessIO())
    await task.delete()
    again = await b.runtime.create("twin", spec=b.spec("true"), io=ProcessIO())
    await again.delete()


async def test_many_at_once(b: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(b.run("echo", str(n))) for n in range(16)]
    assert [run.result() for run in runs] == [(0, f"{n}\n", "") for n in range(16)]
