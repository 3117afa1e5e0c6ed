"""Control groups that systemd makes: scopes in slices, on a host that it runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from moorage.kernel.cgroup import systemd
from support import containers, images
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "systemd", "cgroup2", "crun", "overlayfs")

TREE = Path("/sys/fs/cgroup")
LIMITS = {"Memory": 64 << 20, "MemorySwap": 80 << 20, "PidsLimit": 40, "NanoCpus": 500_000_000}


@pytest.fixture
def scoped(make_daemon: Callable[..., Daemon]) -> Iterator[Daemon]:
    """A daemon that leaves the choice of the driver to the host."""
    daemon = make_daemon(config={"bridge": "none"}).start()
    daemon.load(images.busybox())
    yield daemon
    daemon.clean()
    assert not units("docker-*.scope", daemon)


def units(pattern: str, daemon: Daemon | None = None) -> list[str]:
    """Return the units of that name, failed ones too; those of *daemon* only."""
    listed = subprocess.run(
        ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", pattern],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = [line.split()[0] for line in listed.splitlines()]
    marks = daemon.marks() if daemon else {""}
    return [name for name in names if any(mark in name for mark in marks)]


def group(daemon: Daemon, container_id: str) -> Path:
    """Return the group that the container's first process is in."""
    pid = containers.state(daemon.api, container_id)["Pid"]
    line = Path(f"/proc/{pid}/cgroup").read_text().splitlines()[-1]
    return TREE / line.partition("::")[2].strip("/")


def limits(place: Path) -> list[str]:
    names = ("memory.max", "memory.swap.max", "pids.max", "cpu.max")
    return [(place / name).read_text().strip() for name in names]


def test_driver_is_chosen_and_told(scoped: Daemon) -> None:
    info: Any = scoped.api.get("/info").ok().json()
    assert (info["CgroupDriver"], info["CgroupVersion"]) == ("systemd", "2")


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_whole_life_in_a_scope(scoped: Daemon, runtime: str) -> None:
    api = scoped.api
    one = containers.sleeper(api, host={**LIMITS, "Runtime": runtime})
    scope = f"docker-{one}.scope"
    place = group(scoped, one)
    assert scope in place.parts
    assert "system.slice" in place.parts
    assert units(scope) == [scope]
    at_first = [str(64 << 20), str(16 << 20), "40"]
    assert limits(place)[:3] == at_first
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert limits(place)[:3] == at_first  # systemd has taken nothing away

    stats: Any = api.get(f"/containers/{one}/stats", stream=False, **{"one-shot": True}).ok().json()
    assert stats["memory_stats"]["limit"] == 64 << 20
    assert stats["pids_stats"]["current"] >= 1

    wanted = {"Memory": 96 << 20, "MemorySwap": 128 << 20, "PidsLimit": 30}
    api.post(f"/containers/{one}/update", wanted).ok(200)
    changed = [str(96 << 20), str(32 << 20), "30"]
    assert limits(place)[:3] == changed
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert limits(place)[:3] == changed

    api.post(f"/containers/{one}/pause").ok(204)
    assert "frozen 1" in (place / "cgroup.events").read_text()
    api.post(f"/containers/{one}/unpause").ok(204)
    assert containers.exec_(api, one, "echo", "in")[1] == "in\n"
    api.post(f"/containers/{one}/restart", t=0).ok(204)  # the same scope again, at once
    assert scope in group(scoped, one).parts
    api.delete(f"/containers/{one}", force=True).ok(204)
    assert not units(scope)
    assert not list(TREE.glob(f"**/{scope}"))


def test_slice_of_ones_own(scoped: Daemon) -> None:
    one = containers.sleeper(scoped.api, host={"CgroupParent": "moortest-inner.slice"})
    below = group(scoped, one).relative_to(TREE).parts
    assert below[:3] == ("moortest.slice", "moortest-inner.slice", f"docker-{one}.scope")
    scoped.api.delete(f"/containers/{one}", force=True).ok(204)
    subprocess.run(["systemctl", "stop", "moortest.slice"], check=True)


def test_parent_that_is_no_slice_is_refused(scoped: Daemon) -> None:
    body = {"Image": containers.IMAGE, "HostConfig": {"CgroupParent": "/plain"}}
    refused = scoped.api.post("/containers/create", body)
    said = 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'
    assert (refused.status, refused.message) == (400, said)


def test_out_of_memory_is_seen_and_nothing_is_left(scoped: Daemon) -> None:
    limit = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
    one = containers.run(
        scoped.api, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1", host=limit
    )
    assert containers.wait(scoped.api, one) == 137
    assert containers.state(scoped.api, one)["OOMKilled"] is True
    assert not units(f"docker-{one}.scope")


def test_program_that_is_not_there_leaves_no_scope(scoped: Daemon) -> None:
    one = containers.create(scoped.api, "/no/such/program")
    assert scoped.api.post(f"/containers/{one}/start").status == 400
    assert not units(f"docker-{one}.scope")


def test_daemon_killed_finds_the_scope_again(scoped: Daemon) -> None:
    one = containers.sleeper(scoped.api, host=LIMITS)
    before = group(scoped, one)
    scoped.configure({"bridge": "none", "exec-opts": ["native.cgroupdriver=cgroupfs"]})
    scoped.restart(kill=True)  # with the other driver: what runs stays where it is
    assert group(scoped, one) == before
    scoped.api.post(f"/containers/{one}/update", {"PidsLimit": 33}).ok(200)
    assert limits(before)[2] == "33"
    scoped.api.post(f"/containers/{one}/restart", t=0).ok(204)
    assert group(scoped, one) == TREE / "moorage" / one
    assert not units(f"docker-{one}.scope")


def test_step_of_a_build_has_a_scope(scoped: Daemon, tmp_path: Path) -> None:
    before = set(units("docker-*.scope"))
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN while :; do sleep 0.1; done\n")
    client = subprocess.Popen(
        ["docker", "-H", f"unix://{scoped.socket}", "build", "--no-cache", str(tmp_path)],
        env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    containers.until(lambda: bool(set(units("docker-*.scope")) - before))
    client.kill()  # who waits no more: the step ends with all it had
    client.wait()
    containers.until(lambda: not set(units("docker-*.scope")) - before)


def test_host_says_that_systemd_runs() -> None:
    assert systemd.runs()
