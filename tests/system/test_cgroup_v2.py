"""The second version of control groups on the real kernel; it needs no controllers for this."""

from __future__ import annotations

import secrets
import signal
from collections.abc import AsyncIterator

import pytest

from moorage.kernel import spawn
from moorage.kernel.cgroup import hybrid
from moorage.kernel.cgroup.v2 import V2
from support.bundles import until

pytestmark = pytest.mark.requires("root")


@pytest.fixture
async def group() -> AsyncIterator[V2]:
    root = hybrid.host().v2
    if root is None:
        pytest.skip("no v2 tree is mounted")
    made = V2(root, f"/moorage-test-{secrets.token_hex(4)}")
    made.directory().mkdir()
    yield made
    made.kill()
    await until(lambda: not made.procs())
    made.remove()
    assert not made.exists()


def join(group: V2, process: spawn.Process) -> None:
    (group.directory() / "cgroup.procs").write_text(str(process.pid))


async def test_freeze_thaw_and_kill(group: V2) -> None:
    process = spawn.start(["sleep", "100"])
    join(group, process)
    assert group.procs() == [process.pid]
    group.freeze(frozen=True)
    await until(group.is_frozen)
    group.freeze(frozen=False)
    await until(lambda: not group.is_frozen())
    assert group.readings().cpu_total_ns >= 0
    group.kill()
    assert await process.wait() == 128 + signal.SIGKILL


async def test_signal_reaches_all_below(group: V2) -> None:
    inner = V2(group.directory(), "inner")
    inner.directory().mkdir()
    processes = [spawn.start(["sleep", "100"]) for _ in range(2)]
    join(group, processes[0])
    join(inner, processes[1])
    group.signal(signal.SIGTERM)
    assert [await process.wait() for process in processes] == [128 + signal.SIGTERM] * 2
