"""Starting processes, holding them by descriptors, learning how they ended."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from moorage.kernel import capability, inotify, namespaces, pidfd, spawn


async def test_output_and_code_of_a_program() -> None:
    done = await spawn.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in")
    assert (done.code, done.stdout, done.stderr) == (3, b"in", b"err\n")


async def test_big_input_and_output_do_not_block_each_other() -> None:
    content = bytes(range(256)) * 4000
    done = await spawn.run(["cat"], stdin=content)
    assert done.stdout == content


async def test_environment_is_path_alone() -> None:
    done = await spawn.run(["env"])
    assert done.stdout.decode() == f"PATH={spawn.PATH}\n"


async def test_signals_are_as_a_fresh_process_expects() -> None:
    done = await spawn.run(["sh", "-c", "kill -PIPE $$"])
    assert done.code == 128 + signal.SIGPIPE  # Python itself ignores it


async def test_no_descriptor_but_the_three_is_inherited() -> None:
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)  # noqa: FBT003 - the parameter has no name
    spawn.seal_inherited()
    done = await spawn.run(["ls", "/proc/self/fd"])
    os.close(leaked)
    assert done.stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is ls's own


async def test_time_limit_kills() -> None:
    with pytest.raises(TimeoutError):
        await spawn.run(["sleep", "100"], timeout_s=0.05)


async def test_cancelled_run_kills() -> None:
    task = asyncio.ensure_future(spawn.run(["sleep", "100"]))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_absent_program() -> None:
    with pytest.raises(FileNotFoundError):
        await spawn.run(["no-such-program-anywhere"])
    assert spawn.find("/no/such") is None
    assert spawn.find("sh") is not None


async def test_descriptors_are_mapped_whatever_their_numbers() -> None:
    read, write = os.pipe2(os.O_CLOEXEC)
    process = spawn.start(["sh", "-c", "echo x >&3"], files={3: write})
    os.close(write)
    assert await process.wait() == 0
    assert await process.wait() == 0  # known by then
    assert os.read(read, 9) == b"x\n"
    os.close(read)
    process.send_signal(signal.SIGKILL)  # ended: nobody else gets it


async def test_end_of_a_process_is_learnt_without_being_its_parent() -> None:
    """A grandchild, whose parent is gone: as a container's when its monitor was killed."""
    read, write = os.pipe2(os.O_CLOEXEC)
    parent = spawn.start(
        ["sh", "-c", "(read line; exit 7) <&4 & echo $! >&3"],
        files={3: write, 4: (gate := os.pipe2(os.O_CLOEXEC))[0]},
    )
    await parent.wait()
    pid = int(os.read(read, 20))
    fd = pidfd.open_verified(pid, pidfd.start_time(pid))
    assert fd is not None
    assert not pidfd.has_ended(fd)
    for each in (*gate, read, write):
        os.close(each)
    async with asyncio.timeout(5):
        while (code := pidfd.exit_code(fd, pid)) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
    assert code in {1, 7}
    os.close(fd)


def test_reused_number_is_not_taken_for_the_process() -> None:
    assert pidfd.open_verified(os.getpid(), 1) is None
    assert pidfd.start_time(2**22 - 1) == 0


def test_capability_names() -> None:
    assert capability.names_of(0b1) == {"CAP_CHOWN"}
    assert capability.NAMES[21] == "CAP_SYS_ADMIN"
    assert capability.NAMES[40] == "CAP_CHECKPOINT_RESTORE"
    assert set(capability.bounding()) <= set(capability.NAMES)
    assert capability.effective() <= set(capability.NAMES)


def test_namespace_paths_and_errors() -> None:
    assert namespaces.proc_path(7, "network") == "/proc/7/ns/net"
    with pytest.raises(OSError, match="setns"):
        namespaces.setns(-1)


async def test_change_of_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("")
    watch = inotify.Inotify()
    try:
        watch.watch(path, inotify.IN_MODIFY)
        path.write_text("x")
        async with asyncio.timeout(5):
            await watch.wait_change()
            waiting = asyncio.ensure_future(watch.wait_change())
            await asyncio.sleep(0)
            path.write_text("y")
            await waiting
        with pytest.raises(FileNotFoundError):
            watch.watch(tmp_path / "absent", inotify.IN_MODIFY)
    finally:
        watch.close()


def test_a_process_is_not_called_gone_for_want_of_a_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(_pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", exhausted)
    with pytest.raises(OSError, match="Too many open files"):
        pidfd.open_verified(os.getpid(), pidfd.start_time(os.getpid()))
