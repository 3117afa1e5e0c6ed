"""Where a container's control group is: below ours, or in a scope of systemd's."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.kernel.cgroup import systemd
from moorage.lib.errors import InvalidParameter
from moorage.runtime import cgrouppath, oci
from moorage.runtime.contract import RuntimeConfig
from moorage.spec.oci.runtime import Spec


@pytest.mark.parametrize(
    ("driver", "parent", "path"),
    [
        ("cgroupfs", "", "/moorage/c1"),
        ("cgroupfs", "/a/b/", "/a/b/c1"),
        ("systemd", "", "system.slice:docker:c1"),
        ("systemd", "a-b.slice", "a-b.slice:docker:c1"),
    ],
)
def test_path_in_the_specification(driver: cgrouppath.CgroupDriver, parent: str, path: str) -> None:
    assert cgrouppath.of(driver, parent, "c1") == path


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("system.slice:docker:c1", "/system.slice/docker-c1.scope"),
        ("a-b-c.slice:docker:c1", "/a.slice/a-b.slice/a-b-c.slice/docker-c1.scope"),
        ("-.slice:docker:c1", "/docker-c1.scope"),
    ],
)
def test_scope_in_its_slices(path: str, scope: str) -> None:
    assert systemd.scope_path(path) == scope


@pytest.mark.parametrize(
    "parent",
    ["a", ".slice", "a.slice/b", "/a.slice", "a--b.slice", "-a.slice", "a-.slice", "a:b.slice"],
)
def test_parent_that_is_no_slice(parent: str) -> None:
    with pytest.raises(InvalidParameter, match="should be a valid slice named"):
        cgrouppath.check_parent("systemd", parent)
    with pytest.raises(InvalidParameter):  # of a container that was made with the other driver
        cgrouppath.of("systemd", parent, "c1")
    cgrouppath.check_parent("cgroupfs", parent)


@pytest.mark.parametrize("parent", ["", "-.slice", "a.slice", "a-b.slice", "my_app@1.slice"])
def test_parent_that_is_a_slice(parent: str) -> None:
    cgrouppath.check_parent("systemd", parent)


@pytest.mark.parametrize(
    ("asked", "unified", "booted", "driver"),
    [
        ("", True, True, "systemd"),
        ("", True, False, "cgroupfs"),
        ("", False, True, "cgroupfs"),
        ("systemd", False, True, "systemd"),
        ("cgroupfs", True, True, "cgroupfs"),
    ],
)
def test_choice_of_the_driver(asked: str, unified: int, booted: int, driver: str) -> None:
    assert cgrouppath.choose(asked, unified=bool(unified), booted=bool(booted)) == driver


def test_systemd_is_refused_where_it_is_not_the_init() -> None:
    with pytest.raises(InvalidParameter, match="systemd is not the init of this host"):
        cgrouppath.choose("systemd", unified=True, booted=False)


def test_systemd_runs_where_it_has_its_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert systemd.runs(tmp_path)
    assert not systemd.runs(tmp_path / "link")
    assert not systemd.runs(tmp_path / "absent")


@pytest.mark.parametrize(
    ("program", "asks", "unified", "group"),
    [
        ("crun", True, True, "/system.slice/docker-c1.scope/container"),
        ("crun", True, False, "/system.slice/docker-c1.scope"),
        ("runc", True, True, "/system.slice/docker-c1.scope"),
        ("crun", False, True, "system.slice:docker:c1"),
    ],
)
def test_group_of_the_processes(program: str, asks: int, unified: int, group: str) -> None:
    path = f"/usr/bin/{program}"
    runtime = oci.make(program, RuntimeConfig(path=path), path, Path("/r"), systemd=bool(asks))
    assert runtime.group_path("system.slice:docker:c1", unified=bool(unified)) == group


def test_runtime_is_told_to_ask_systemd_and_to_let_go_of_the_scope() -> None:
    made = [
        oci.make(
            "crun", RuntimeConfig(path="crun"), "/usr/bin/crun", Path("/r"), systemd=bool(asks)
        )
        for asks in (False, True)
    ]
    spec = Spec(oci_version="1.0.2")
    assert [("--systemd-cgroup" in runtime.command()) for runtime in made] == [False, True]
    assert [runtime.plain_state("c1", spec) for runtime in made] == ["/r/crun/c1", None]
