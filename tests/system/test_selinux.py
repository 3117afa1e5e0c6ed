"""SELinux on a kernel that enforces it: who may see what of whom."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import containers, images
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "selinux", "overlayfs")

CONTAINER = re.compile(r"system_u:system_r:container_t:s0:c\d+,c\d+\Z")


@pytest.fixture
def labelled(make_daemon: Callable[..., Daemon]) -> Iterator[Daemon]:
    if ":c" in Path("/proc/self/attr/current").read_text():
        pytest.skip("a session with categories, to which no container may write: use systemd-run")
    daemon = make_daemon(config={"bridge": "none", "selinux-enabled": True}).start()
    if "name=selinux" not in daemon.api.get("/info").json()["SecurityOptions"]:
        pytest.skip("the policy of this host has no types for containers")
    daemon.load(images.busybox())
    yield daemon
    daemon.clean()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory of the host that the policy keeps containers from."""
    path = Path("/srv/moorage-test")
    path.mkdir()
    (path / "file").write_text("of the host\n")
    yield path
    (path / "file").unlink()
    path.rmdir()


def label(path: Path) -> str:
    return os.getxattr(path, "security.selinux").rstrip(b"\0").decode()


def ask(daemon: Daemon, *command: str, **host: Any) -> str:
    """Run a program and return all that it wrote."""
    one = containers.run(daemon.api, *command, host=host)
    containers.wait(daemon.api, one)
    return containers.output(daemon.api, one).rstrip("\0\n")


def test_each_container_has_a_label_of_its_own(labelled: Daemon) -> None:
    said = [ask(labelled, "cat", "/proc/self/attr/current") for _ in range(2)]
    assert all(CONTAINER.match(text) for text in said)
    assert said[0] != said[1]
    one = containers.sleeper(labelled.api)
    found = containers.inspect(labelled.api, one)
    code, inside = containers.exec_(labelled.api, one, "cat", "/proc/self/attr/current")
    assert (code, inside.rstrip("\0\n")) == (0, found["ProcessLabel"])
    level = found["ProcessLabel"].split(":", 3)[3]
    assert found["MountLabel"] == f"system_u:object_r:container_file_t:{level}"
    mounts = Path(f"/proc/{containers.state(labelled.api, one)['Pid']}/mountinfo").read_text()
    assert {"/", "/dev/shm"} <= {line.split()[4] for line in mounts.splitlines() if level in line}


def test_host_is_out_of_reach_until_it_is_relabelled(labelled: Daemon, shared: Path) -> None:
    bind = f"{shared}:/h"
    assert "Permission denied" in ask(labelled, "cat", "/h/file", Binds=[bind])
    assert ask(labelled, "cat", "/h/file", Binds=[f"{bind}:z"]) == "of the host"
    assert label(shared / "file") == "system_u:object_r:container_file_t:s0"
    assert ask(labelled, "cat", "/h/file", Binds=[bind]) == "of the host"  # it is for all now
    assert ask(labelled, "cat", "/h/file", Binds=[f"{bind}:Z"]) == "of the host"
    assert "Permission denied" in ask(labelled, "cat", "/h/file", Binds=[bind])


def test_places_of_the_host_are_not_relabelled(labelled: Daemon) -> None:
    before = label(Path("/usr"))
    one = containers.create(labelled.api, host={"Binds": ["/usr:/h:z"]})
    refused = labelled.api.post(f"/containers/{one}/start")
    assert refused.status == 500
    assert "SELinux relabeling of /usr is not allowed" in refused.message
    assert label(Path("/usr")) == before


def test_volume_is_for_all_containers(labelled: Daemon) -> None:
    assert ask(labelled, "sh", "-c", "echo mine > /v/f; cat /v/f", Binds=["vol:/v"]) == "mine"
    assert ask(labelled, "cat", "/v/f", Binds=["vol:/v"]) == "mine"


@pytest.mark.parametrize("mode", ["IpcMode", "PidMode"])
def test_who_shares_a_namespace_shares_the_label(labelled: Daemon, mode: str) -> None:
    one = containers.sleeper(labelled.api, host={"IpcMode": "shareable"})
    two = containers.sleeper(labelled.api, host={mode: f"container:{one}"})
    first, second = (containers.inspect(labelled.api, each) for each in (one, two))
    assert (second["ProcessLabel"], second["MountLabel"]) == (
        first["ProcessLabel"],
        first["MountLabel"],
    )
    assert (
        f"label=level:{first['ProcessLabel'].split(':', 3)[3]}"
        in (second["HostConfig"]["SecurityOpt"])
    )


@pytest.mark.parametrize(
    "host",
    [{"Privileged": True}, {"SecurityOpt": ["label=disable"]}, {"PidMode": "host"}],
)
def test_unconfined_has_no_label_of_a_container(labelled: Daemon, host: dict[str, Any]) -> None:
    one = containers.run(labelled.api, "cat", "/proc/self/attr/current", host=host)
    containers.wait(labelled.api, one)
    assert ":container_t:" not in containers.output(labelled.api, one)
    found = containers.inspect(labelled.api, one)
    assert found["ProcessLabel"] == ""
    assert found["MountLabel"] == "system_u:object_r:container_file_t:s0:c1022,c1023"


def test_option_that_is_none_is_refused(labelled: Daemon) -> None:
    body = {"Image": containers.IMAGE, "HostConfig": {"SecurityOpt": ["label=colour:red"]}}
    refused = labelled.api.post("/containers/create", body)
    assert refused.status == 400
    assert refused.message.startswith('Bad label option "colour", valid options')


def test_label_outlives_the_daemon(labelled: Daemon) -> None:
    one = containers.sleeper(labelled.api)
    before = containers.inspect(labelled.api, one)["ProcessLabel"]
    labelled.restart(kill=True)
    labelled.api.post(f"/containers/{one}/restart", t=0).ok(204)
    code, inside = containers.exec_(labelled.api, one, "cat", "/proc/self/attr/current")
    assert (code, inside.rstrip("\0\n")) == (0, before)
