"""Monitors with nothing to do end, and others go on from where they were."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.runtime.contract import ProcessIO
from moorage.spec.oci import runtime as oci
from support.bundles import NAMESPACES, Bench, alive, bench, collect, ended, read_until, until

pytestmark = pytest.mark.requires("root", "crun")
SAY_BY_SIGNAL = (
    'trap "echo two; echo err >&2" USR1; trap "exit 7" USR2; echo one; while :; do sleep 0.05; done'
)

EAT = "(x=x; while :; do x=$x$x$x$x; done)"  # memory, until the inner shell is killed


@pytest.fixture
async def b(kit_root: Path) -> AsyncIterator[Bench]:
    async with bench(kit_root / f"r{secrets.token_hex(3)}") as opened:
        yield opened
        assert opened.leftovers() == []


def said(b: Bench) -> list[tuple[str, str]]:
    """Return stream and text of each line of the log."""
    entries = map(json.loads, b.log().read_text().splitlines())
    return [(entry["stream"], entry["log"].strip()) for entry in entries]


async def test_output_and_end_wake_another_monitor(b: Bench) -> None:
    io = ProcessIO(log_driver="json-file", log_path=b.log())
    task = await b.create("sh", "-c", SAY_BY_SIGNAL, io=io)
    await task.start()
    first = b.monitor_at_work(task)
    keeper = b.monitor_of(task)
    await b.rest(task)
    await task.signal(signal.SIGUSR1)
    await until(lambda: len(said(b)) == 3)
    second = b.monitor_at_work(task)
    assert second not in {0, first}
    assert b.monitor_of(task) == keeper
    await b.rest(task)
    await task.signal(signal.SIGUSR2)
    status = await ended(task)
    assert (status.code, status.known) == (7, True)
    assert sorted(said(b)) == [("stderr", "err"), ("stdout", "one"), ("stdout", "two")]
    await task.delete()
    await until(lambda: not alive(keeper))


async def test_input_and_a_terminals_size_reach_a_process_whose_monitor_is_at_rest(
    b: Bench,
) -> None:
    echo = await b.create("cat", io=ProcessIO(open_stdin=True, stdin_once=True))
    shell = await b.create(
        "sh", "-c", "while read x; do stty size; done", io=ProcessIO(tty=True, open_stdin=True)
    )
    await echo.start()
    await shell.start()
    await b.rest(echo, shell)

    client = await echo.attach(stdin=True, stdout=True, stderr=True)
    await client.write(b"hello\n")
    assert await read_until(client, b"hello\n")
    await client.close_stdin()
    assert await collect(client) == (b"", b"")
    assert (await ended(echo)).code == 0

    await shell.resize(33, 77)
    await b.rest(shell)
    terminal = await shell.attach(stdin=True, stdout=True, stderr=True)
    await terminal.write(b"\n")
    assert b"33 77" in await read_until(terminal, b"77")
    await terminal.close()
    for task in (echo, shell):
        await task.delete()


async def test_an_attached_client_and_an_unfinished_line_keep_a_monitor(b: Bench) -> None:
    """And a pid namespace that is the host's: orphans become the keeper's children then."""
    quiet = await b.create("sleep", "100")
    attached = await b.create("sleep", "100")
    prompt = await b.create(
        "sh",
        "-c",
        "printf '# '; sleep 100",
        io=ProcessIO(log_driver="json-file", log_path=b.log()),
    )
    hosted = await b.create(
        "sleep", "100", namespaces=[kind for kind in NAMESPACES if kind != "pid"]
    )
    tasks = (attached, prompt, hosted, quiet)  # the last begins to be quiet last
    client = await attached.attach(stdin=False, stdout=True, stderr=True)
    for task in tasks:
        await task.start()
    kept = [b.monitor_at_work(task) for task in tasks[:-1]]
    await b.rest(quiet)
    assert [b.monitor_at_work(task) for task in tasks[:-1]] == kept
    await client.close()
    await b.rest(attached)
    for task in tasks:
        await task.delete()


async def test_an_out_of_memory_kill_wakes_a_monitor(b: Bench) -> None:
    limits = oci.LinuxResources(memory=oci.LinuxMemory(limit=16 << 20, swap=16 << 20))
    script = f"trap '{EAT}' USR1; while :; do sleep 0.05; done"
    task = await b.create("sh", "-c", script, resources=limits)
    await task.start()
    await b.rest(task)
    await task.signal(signal.SIGUSR1)
    await until(lambda: b.ooms == [task.container_id])
    await b.rest(task)
    await task.signal(signal.SIGKILL)
    status = await ended(task)
    assert (status.code, status.oom_killed) == (137, True)
    await task.delete()


async def test_a_killed_keeper_is_replaced_also_while_its_monitor_is_at_rest(b: Bench) -> None:
    io = ProcessIO(log_driver="json-file", log_path=b.log())
    task = await b.create("sh", "-c", SAY_BY_SIGNAL, io=io)
    await task.start()
    await b.rest(task)
    killed = b.monitor_of(task)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: b.monitor_of(task) != killed and task.has_monitor)
    await b.rest(task)  # the second knows the process by its descriptor only
    await task.signal(signal.SIGUSR1)
    await until(lambda: len(said(b)) == 3)
    await b.rest(task)
    await task.signal(signal.SIGUSR2)
    status = await ended(task)
    assert (status.code, status.known) in {(7, True), (255, False)}
    await task.delete()


async def test_a_monitor_killed_at_work_is_replaced_with_its_keeper(b: Bench) -> None:
    io = ProcessIO(log_driver="json-file", log_path=b.log())
    task = await b.create("sh", "-c", SAY_BY_SIGNAL, io=io)
    await task.start()
    keeper = b.monitor_of(task)
    os.kill(b.monitor_at_work(task), signal.SIGKILL)
    await until(lambda: b.monitor_of(task) != keeper and task.has_monitor)
    await until(lambda: not alive(keeper))
    await task.signal(signal.SIGUSR1)
    await until(lambda: len(said(b)) == 3)
    await task.delete()
