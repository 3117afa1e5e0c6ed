"""Control groups on trees of plain files: what is read, written and found."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from moorage.kernel import mount
from moorage.kernel.cgroup import files, hybrid
from moorage.kernel.cgroup.contract import Cgroup, IOEntry
from moorage.kernel.cgroup.v1 import V1
from moorage.kernel.cgroup.v2 import V2, io_statistics

CONTROLLERS = frozenset({"cpu", "cpuacct", "memory", "pids", "freezer", "blkio", "hugetlb"})


def info(target: str, fstype: str, options: str = "") -> mount.MountInfo:
    return mount.MountInfo(
        mount_id=1,
        root="/",
        target=target,
        fstype=fstype,
        source="cgroup",
        options="rw",
        super_options=options,
        optional="",
    )


def put(root: Path, **contents: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (root / name.replace("__", ".")).write_text(content)


@pytest.fixture
def v1(tmp_path: Path) -> V1:
    group = "moorage/c1"
    put(tmp_path / "cpu" / group, cpu__stat="nr_periods 5\nnr_throttled 2\nthrottled_time 700\n")
    put(
        tmp_path / "cpuacct" / group,
        cpuacct__usage="3000000\n",
        cpuacct__usage_percpu="1000000 2000000 \n",
        cpuacct__stat="user 1\nsystem 2\n",
    )
    put(
        tmp_path / "memory" / group,
        memory__usage_in_bytes="4096\n",
        memory__max_usage_in_bytes="8192\n",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__failcnt="7\n",
        memory__stat="cache 10\nrss 20\n",
    )
    put(tmp_path / "pids" / group, pids__current="3\n", pids__max="50\n", cgroup__procs="11\n12\n")
    put(tmp_path / "pids" / group / "inner", cgroup__procs="13\n")
    put(tmp_path / "freezer" / group, freezer__state="THAWED\n")
    names = ("cpu", "cpuacct", "memory", "pids", "freezer")
    return V1({name: tmp_path / name for name in names}, "/moorage/c1")


@pytest.fixture
def v2(tmp_path: Path) -> V2:
    put(
        tmp_path / "moorage" / "c1",
        cpu__stat="usage_usec 3000\nuser_usec 1000\nsystem_usec 2000\nnr_periods 5\n",
        memory__current="4096\n",
        memory__max="max\n",
        memory__events="low 0\nmax 70\noom 7\noom_kill 1\n",
        memory__stat="anon 20\n",
        pids__current="3\n",
        pids__max="50\n",
        io__stat="8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n",
        cgroup__procs="11\n12\n",
        cgroup__events="populated 1\nfrozen 1\n",
        cgroup__freeze="0\n",
    )
    put(tmp_path / "moorage" / "c1" / "inner", cgroup__procs="13\n")
    return V2(tmp_path, "/moorage/c1")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_both_versions_keep_one_contract(version: str, request: pytest.FixtureRequest) -> None:
    group: Cgroup = request.getfixturevalue(version)
    assert group.exists()
    assert group.procs() == [11, 12, 13]
    readings = group.readings()
    assert readings.cpu_total_ns == 3_000_000
    assert readings.periods == 5
    assert (readings.memory_usage, readings.memory_limit, readings.memory_failures) == (
        4096,
        None,
        7,
    )
    assert (readings.pids, readings.pids_limit) == (3, 50)
    group.write("pids", "pids.max", "9")
    assert group.read("pids", "pids.max") == "9"
    assert group.read("pids", "no.such.file") == ""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_absent_group_reads_as_nothing(version: str, tmp_path: Path) -> None:
    group: Cgroup = V1({"pids": tmp_path}, "/x") if version == "v1" else V2(tmp_path, "/x")
    assert not group.exists()
    assert group.procs() == []
    assert group.readings().memory_usage == 0
    group.remove()


def test_v1_freezer(v1: V1) -> None:
    assert not v1.is_frozen()
    v1.freeze(frozen=True)
    assert v1.read("freezer", "freezer.state") == "FROZEN"
    assert v1.is_frozen()


def test_v2_freezer_answers_by_its_events(v2: V2) -> None:
    v2.freeze(frozen=True)
    assert v2.read("", "cgroup.freeze") == "1"
    assert v2.is_frozen()


def test_v1_has_processor_times_of_each(v1: V1) -> None:
    readings = v1.readings()
    assert readings.cpu_each_ns == [1_000_000, 2_000_000]
    assert readings.throttled_ns == 700
    assert readings.memory == {"cache": 10, "rss": 20}


def test_v2_io_becomes_dockers_lists() -> None:
    statistics = io_statistics("8:0 rbytes=100 wbytes=200 rios=1 wios=2\n\n".strip() + "\n253:1\n")
    assert statistics == {
        "io_service_bytes_recursive": [IOEntry(8, 0, "read", 100), IOEntry(8, 0, "write", 200)],
        "io_serviced_recursive": [IOEntry(8, 0, "read", 1), IOEntry(8, 0, "write", 2)],
    }


def test_v1_io_leaves_the_total_out(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("8:0 Read 1\n8:0 Total 1\nTotal 1\n")
    assert files.io_table(tmp_path / "f") == [IOEntry(8, 0, "Read", 1), IOEntry(8, 0, "Total", 1)]


def test_detection_of_v1() -> None:
    found = hybrid.detect(
        [
            info("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
            info("/sys/fs/cgroup/systemd", "cgroup", "rw,xattr,name=systemd"),
            info("/proc", "proc"),
        ],
        CONTROLLERS,
    )
    assert found.mode == "v1"
    assert sorted(found.v1) == ["cpu", "cpuacct"]
    assert found.cgroup("/a/b").directories() == [
        Path("/sys/fs/cgroup/cpu,cpuacct/a/b"),
        Path("/sys/fs/cgroup/systemd/a/b"),
    ]


def test_detection_of_v2_and_hybrid() -> None:
    unified = info("/sys/fs/cgroup/unified", "cgroup2", "rw")
    assert hybrid.detect([unified], CONTROLLERS).mode == "v2"
    both = hybrid.detect([unified, info("/sys/fs/cgroup/pids", "cgroup", "pids")], CONTROLLERS)
    assert (both.mode, both.v2) == ("hybrid", Path("/sys/fs/cgroup/unified"))
    assert hybrid.detect([], CONTROLLERS).mode == "none"


def test_group_is_of_the_version_of_its_host(tmp_path: Path) -> None:
    assert isinstance(hybrid.Host(mode="v2", v2=tmp_path).cgroup("/a"), V2)
    assert isinstance(hybrid.Host(mode="hybrid", v1={"pids": tmp_path}).cgroup("/a"), V1)


def test_strays_in_use_are_seen(tmp_path: Path) -> None:
    put(tmp_path, cgroup__subtree_control="\n")
    put(tmp_path / "user.slice", cgroup__subtree_control="\n")
    assert not hybrid.in_use(tmp_path)
    put(tmp_path / "user.slice", cgroup__subtree_control="hugetlb\n")
    assert hybrid.in_use(tmp_path)


def test_controllers_of_v2_go_by_their_old_names(tmp_path: Path) -> None:
    put(tmp_path, cgroup__controllers="cpu io memory pids\n")
    host = hybrid.Host(mode="v2", v2=tmp_path)
    assert host.controllers() == {"cpu", "blkio", "memory", "pids", "freezer"}


def test_swap_can_be_limited_where_a_group_has_the_file(tmp_path: Path) -> None:
    host = hybrid.Host(mode="v2", v2=tmp_path)
    assert host.swap_limit()  # nothing yet to tell
    put(tmp_path / "system.slice", memory__current="1\n")
    assert not host.swap_limit()
    put(tmp_path / "user.slice", memory__current="1\n", memory__swap__max="max\n")
    assert host.swap_limit()
    assert not hybrid.Host(mode="v1", v1={"memory": tmp_path}).swap_limit()
    put(tmp_path, memory__memsw__limit_in_bytes="1\n")
    assert hybrid.Host(mode="v1", v1={"memory": tmp_path}).swap_limit()


def test_more_members_than_may_be_opened_at_once_are_all_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = list(range(1, files.AT_ONCE * 2 + 10))
    (tmp_path / "cgroup.procs").write_text("\n".join(map(str, pids)))
    signalled: list[int] = []
    opened: set[int] = set()
    most = 0

    def open_(pid: int) -> int:
        nonlocal most
        opened.add(pid)
        most = max(most, len(opened))
        return pid

    monkeypatch.setattr(os, "pidfd_open", open_)
    monkeypatch.setattr(os, "close", opened.discard)
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda pidfd, _signum: signalled.append(pidfd))
    files.send(tmp_path, 9)
    assert signalled == pids
    assert not opened
    assert most <= files.AT_ONCE
