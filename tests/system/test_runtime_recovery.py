"""What becomes of containers when the daemon, the zygote or their monitor is killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import moorage
from moorage.runtime.contract import ExitStatus, ProcessIO
from moorage.runtime.task import Task
from support.bundles import Bench, alive, bench, collect, ended, until

pytestmark = pytest.mark.requires("root", "crun")
TESTS = Path(__file__).parent.parent
SAY_BY_SIGNAL = (
    'trap "echo two" USR1; trap "echo three; exit 7" USR2; echo one; while :; do sleep 0.05; done'
)


def crash(root: Path, **environment: str) -> bytes:
    """Run a daemon until it is killed; return what it said."""
    source = Path(str(moorage.__file__)).parent.parent
    died = subprocess.run(
        [sys.executable, "-m", "support.fake_daemon", str(root)],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{source}", **environment},
        stdout=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    return died.stdout


@pytest.fixture
async def after_crash(kit_root: Path) -> AsyncIterator[Bench]:
    """A runtime over the containers of a daemon that was killed."""
    root = kit_root / f"r{secrets.token_hex(3)}"
    assert crash(root) == b"ready\n"
    async with bench(root) as opened:
        yield opened
        for name in opened.runtime.known():
            found = await opened.runtime.recover(name)
            if isinstance(found, Task):
                await found.delete()
            else:
                await opened.runtime.discard(name)


async def recovered(b: Bench, name: str) -> Task:
    found = await b.runtime.recover(name)
    assert isinstance(found, Task), found
    return found


async def kill_monitor(b: Bench, task: Task) -> None:
    """Kill the monitor, and wait until another has taken over."""
    killed = b.monitor_of(task)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: b.monitor_of(task) != killed and task.has_monitor)


def lines(b: Bench) -> list[str]:
    """Return what the log holds so far."""
    return [json.loads(line)["log"].strip() for line in b.log().read_text().splitlines()]


async def test_containers_go_on_without_their_daemon(after_crash: Bench) -> None:
    b = after_crash
    assert set(b.runtime.known()) >= {"ended", "flood", "reader", "orphan", "lost"}
    # never started: removed by its monitor, for nobody knows of it
    await until(lambda: "created" not in os.listdir(b.root / "exec" / "runtimes" / "crun"))
    assert await b.runtime.recover("created") is None
    assert await b.runtime.recover("never-heard-of") is None

    for name, code in (("ended", 9), ("flood", 3)):
        found = await b.runtime.recover(name)
        status = await ended(found) if isinstance(found, Task) else found
        assert isinstance(status, ExitStatus)
        assert (status.code, status.known) == (code, True)
    assert b.log("flood.log").read_text().count("\n") == 100_000

    reader = await recovered(b, "reader")
    attachment = await reader.attach(stdin=True, stdout=True, stderr=True)
    await attachment.write(b"mail\n")
    assert (await collect(attachment))[0] == b"got mail\n"
    assert (await ended(reader)).code == 5
    await reader.delete()


async def test_a_later_daemon_wakes_the_monitors_at_rest(after_crash: Bench) -> None:
    b = after_crash
    reader = await recovered(b, "reader")
    reader_first = b.monitor_of(reader)
    await b.rest(reader)
    attachment = await reader.attach(stdin=True, stdout=True, stderr=True)
    await attachment.write(b"mail\n")
    assert (await collect(attachment))[0] == b"got mail\n"
    status = await ended(reader)
    assert (status.code, status.known) == (5, True)
    assert b.monitor_of(reader) == reader_first
    await reader.delete()


async def test_end_is_known_though_the_monitor_was_killed(after_crash: Bench) -> None:
    b = after_crash
    orphan = await recovered(b, "orphan")
    await kill_monitor(b, orphan)
    assert orphan.exit_status is None
    await orphan.signal(signal.SIGTERM)
    status = await ended(orphan)
    assert (status.code, status.known) in {(6, True), (255, False)}
    await orphan.delete()


async def test_later_daemon_finds_a_process_without_monitor(after_crash: Bench) -> None:
    b = after_crash
    known = json.loads((b.root / "exec" / "tasks" / "lost" / "task.json").read_text())
    os.kill(known["monitor"], signal.SIGKILL)
    await until(lambda: not alive(known["monitor"]))
    lost = await recovered(b, "lost")
    assert (lost.pid, lost.has_monitor) == (known["pid"], False)
    await lost.delete()
    assert not alive(known["pid"])


@pytest.mark.parametrize("tty", [False, True])
async def test_another_monitor_reads_on_where_one_was_killed(kit_root: Path, *, tty: bool) -> None:
    """The process notices nothing, what it writes meanwhile waits, and it can be killed again."""
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as b:
        io = ProcessIO(tty=tty, log_driver="json-file", log_path=b.log())
        task = await b.create("sh", "-c", SAY_BY_SIGNAL, io=io)
        await task.start()
        await until(lambda: lines(b) == ["one"])

        os.kill(b.runtime.zygote_pid, signal.SIGSTOP)  # no other monitor can be made yet
        try:
            os.kill(b.monitor_of(task), signal.SIGKILL)
            await until(lambda: not alive(b.monitor_of(task)))
            await task.signal(signal.SIGUSR1)
        finally:
            os.kill(b.runtime.zygote_pid, signal.SIGCONT)
        await until(lambda: lines(b) == ["one", "two"])

        attachment = await task.attach(stdin=False, stdout=True, stderr=True)
        await task.signal(signal.SIGUSR2)
        assert (await collect(attachment))[0].split() == [b"three"]
        status = await ended(task)
        assert (status.code, status.known) in {(7, True), (255, False)}
        assert lines(b) == ["one", "two", "three"]
        await task.delete()
        assert b.leftovers() == []


async def test_a_monitor_killed_before_the_start_is_replaced(kit_root: Path) -> None:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as b:
        io = ProcessIO(log_driver="json-file", log_path=b.log())
        task = await b.create("sh", "-c", "echo hello; exit 3", io=io)
        await kill_monitor(b, task)
        await task.start()
        status = await ended(task)
        assert (status.code, status.known) in {(3, True), (255, False)}
        assert lines(b) == ["hello"]
        await task.delete()
        assert b.leftovers() == []


async def test_container_and_monitor_killed_together_have_an_unknown_end(
    after_crash: Bench,
) -> None:
    b = after_crash
    directory = b.root / "exec" / "tasks" / "lost"
    lost = await recovered(b, "lost")
    os.kill(b.monitor_of(lost), signal.SIGKILL)
    os.kill(lost.pid, signal.SIGKILL)
    assert (await ended(lost)).code in {137, 255}
    assert directory.exists()
    await lost.delete()
    assert not directory.exists()


async def test_zygote_is_replaced(kit_root: Path) -> None:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as b:
        task = await b.create("sleep", "100")
        await task.start()
        os.kill(b.runtime.zygote_pid, signal.SIGKILL)
        assert await b.run("echo", "again") == (0, "again\n", "")
        assert task.exit_status is None
        await task.delete()


async def test_monitor_made_in_advance_is_used_replaced_and_not_kept(kit_root: Path) -> None:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as b:
        (used,) = await expected_monitors(b)
        task = await b.create("sleep", "100")
        assert parent(task.pid) == used
        await task.start()
        (killed,) = await expected_monitors(b, used)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: not alive(killed))
        assert await b.run("echo", "again") == (0, "again\n", "")
        (unused,) = await expected_monitors(b, used)
        await until(lambda: not alive(unused))
        await task.delete()


def is_monitor(pid: int) -> bool:
    """Whether *pid* is a living keeper, and no part of the zygote's rehearsal."""
    return alive(pid) and Path(f"/proc/{pid}/comm").read_text() == "moor-keeper\n"


def parent(pid: int) -> int:
    """Return the parent of *pid*."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def expected_monitors(b: Bench, *others: int) -> list[int]:
    """Let a monitor be made in advance where there are *others* only; return it."""
    found: list[int] = []

    def others_and(count: int) -> bool:
        pid = b.runtime.zygote_pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text() if pid else ""
        found[:] = [m for m in map(int, text.split()) if is_monitor(m) and m not in others]
        return len(found) == count

    await until(lambda: others_and(0))
    b.runtime.expect_task()
    await until(lambda: others_and(1))
    return found


async def test_daemon_that_dies_during_create_leaves_nothing(kit_root: Path) -> None:
    root = kit_root / f"r{secrets.token_hex(3)}"
    for point in ("runtime.create.after_bundle", "runtime.create.after_launch"):
        crash(root, MOORAGE_FAILPOINTS=f"{point}=kill")
        async with bench(root) as b:
            for name in b.runtime.known():
                assert await b.runtime.recover(name) is None
                await b.runtime.discard(name)
            task = await b.runtime.create("ended", spec=b.spec("true"), io=ProcessIO())
            await task.delete()
