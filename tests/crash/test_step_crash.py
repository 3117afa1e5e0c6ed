"""Pulls, commits, execs, volumes, published ports cut off at each step: by error, and by death."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import pytest

from support import containers as c
from support import images
from support.api import Response
from support.daemon import Daemon
from support.registry import FakeRegistry

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(120)]

PULL = [
    "images.download.before_commit",
    "images.pull.after_layer",
    "images.pull.before_add",
    "images.pull.before_tag",
]
COMMIT = ["containers.commit.after_layer", "layers.after_unpack", "images.before_record"]
VOLUME_CREATE = ["volumes.create.after_intent", "volumes.create.after_driver"]
VOLUME_REMOVE = ["volumes.remove.after_intent", "volumes.remove.after_driver"]
VOLUME_RENAME = ["volumes.rename.after_intent", "volumes.rename.after_move"]


class Cut:
    """A daemon that fails, or dies, where it is told to."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.api = daemon, daemon.api
        self._faults = daemon.root / "faults"
        self.mend()
        daemon.env["MOORAGE_FAILPOINTS"] = f"@{self._faults}"
        daemon.start()
        daemon.load(images.busybox())

    def mend(self) -> None:
        """Let nothing fail any more."""
        self._faults.write_text("")

    def fail(self, fault: str, work: Callable[[], Response]) -> str:
        """Do *work*, which meets an error at *fault*; return what was said."""
        self._faults.write_text(f"{fault}=error")
        answer = work()
        self.mend()
        said = answer.body.decode()
        assert answer.status == 500 or "error" in said.splitlines()[-1], (fault, said)
        assert "Traceback" not in said
        return said

    def die(self, fault: str, work: Callable[[], Response]) -> None:
        """Do *work*, of which the daemon dies at *fault*; the next one is there when it returns."""
        self._faults.write_text(f"{fault}=kill")
        with suppress(OSError, HTTPException):
            work()
        assert self.daemon.process is not None
        self.daemon.process.wait(10)
        self.mend()
        self.daemon.start()

    def stored(self) -> tuple[Any, ...]:
        """Return what the store holds: names, blobs, layers."""
        listed = self.api.get("/images/json", all=True).ok().json()
        root = self.daemon.data_root
        layers = (path.name for path in (root / "layers" / "overlay2").iterdir())
        return (
            sorted((image["Id"], tuple(image["RepoTags"])) for image in listed),
            sorted(path.name for path in (root / "content" / "blobs" / "sha256").iterdir()),
            sorted(name for name in layers if not name.startswith(".")),
        )

    def volumes(self) -> tuple[list[str], list[str]]:
        """Return the volumes that are listed, and those that have a directory."""
        top = self.daemon.data_root / "volumes"
        listed = self.api.get("/volumes").ok().json()["Volumes"]
        there = (path.name for path in top.iterdir() if path.is_dir()) if top.is_dir() else ()
        names = [v["Name"] for v in listed if v["Driver"] == "local"]
        return sorted(names), sorted(name for name in there if not name.startswith("."))


@pytest.fixture
def cut(make_daemon: Callable[..., Daemon]) -> Cut:
    return Cut(make_daemon())


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        lower = images.layer([images.Entry("lower", b"l" * 5000)])
        upper = images.layer([images.Entry("upper", b"u" * 5000)])
        registry.add_simple_image("app", "1", [lower, upper])
        yield registry


def test_a_pull_cut_off_leaves_the_store_as_it_was(cut: Cut, registry: FakeRegistry) -> None:
    name = f"{registry.host}/app"

    def pull() -> Response:
        return cut.api.request("POST", "/images/create", query={"fromImage": name, "tag": "1"})

    before = cut.stored()
    for fault in PULL:
        said = cut.fail(fault, pull)
        assert fault in said
        c.until(lambda: cut.stored() == before)  # what it had is collected behind the answer
    for fault in PULL:
        cut.die(fault, pull)
        assert f"{name}:1" not in str(cut.stored()), fault
        assert "Downloaded newer image" in pull().ok().body.decode(), "it goes on where it was"
        cut.api.delete(f"/images/{name}:1").ok()
        assert cut.stored() == before, fault


def test_a_commit_cut_off_leaves_the_store_and_the_container(cut: Cut) -> None:
    container_id = c.sleeper(cut.api)
    assert c.exec_(cut.api, container_id, "touch", "/made") == (0, "")

    def commit() -> Response:
        return cut.api.post("/commit", container=container_id, repo="made", tag="1")

    before = cut.stored()
    for fault in COMMIT:
        cut.fail(fault, commit)
        assert cut.stored() == before, fault
        assert c.state(cut.api, container_id)["Status"] == "running", "and not paused for ever"
    for fault in COMMIT:
        cut.die(fault, commit)
        assert cut.stored() == before, fault
        assert c.state(cut.api, container_id)["Status"] == "running", fault
        assert c.exec_(cut.api, container_id, "true") == (0, "")
    commit().ok(201)
    cut.daemon.clean()


def test_an_exec_that_fails_leaves_no_process(cut: Cut) -> None:
    container_id = c.sleeper(cut.api)
    execs = cut.daemon.exec_root / "tasks" / container_id / "exec"
    for fault in ("containers.exec.after_create", "containers.exec.after_start"):
        body = {"Cmd": ["sleep", "1000"]}
        made = cut.api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
        said = cut.fail(fault, lambda: cut.api.post(f"/exec/{made}/start", {"Detach": True}))  # noqa: B023
        assert fault in said
        c.until(lambda: not execs.is_dir() or list(execs.iterdir()) == [])
        top = cut.api.get(f"/containers/{container_id}/top").ok().json()["Processes"]
        assert not any("sleep 1000" in " ".join(process) for process in top), fault
        assert not cut.api.get(f"/exec/{made}/json").ok().json()["Running"]
    cut.daemon.clean()


def test_a_volume_is_made_whole_or_not_at_all(cut: Cut) -> None:
    def create() -> Response:
        return cut.api.post("/volumes/create", {"Name": "data"})

    for fault in VOLUME_CREATE:
        cut.fail(fault, create)
        assert cut.volumes() == ([], []), fault
        cut.die(fault, create)
        assert cut.volumes() == ([], []), fault
    create().ok(201)
    assert cut.volumes() == (["data"], ["data"])


def test_a_volume_whose_removal_was_cut_off_can_be_removed_and_made_again(cut: Cut) -> None:
    def remove() -> Response:
        return cut.api.delete("/volumes/data")

    for fault in VOLUME_REMOVE:
        for how in (cut.fail, cut.die):
            cut.api.post("/volumes/create", {"Name": "data"}).ok(201)
            how(fault, remove)
            remove().ok(204, 404)
            assert cut.volumes() == ([], []), fault


def test_a_volume_whose_renaming_was_cut_off_has_one_name(cut: Cut) -> None:
    def rename() -> Response:
        return cut.api.post("/volumes/data/rename", name="other")

    for fault in VOLUME_RENAME:
        cut.api.post("/volumes/create", {"Name": "data"}).ok(201)
        c.ask(cut.api, "touch", "/v/kept", host={"Binds": ["data:/v"]})
        cut.fail(fault, rename)
        assert cut.volumes() == (["data"], ["data"]), fault
        cut.daemon.restart(kill=True)
        assert cut.volumes() == (["data"], ["data"]), "nor does the next daemon rename it"
        cut.die(fault, rename)
        assert cut.volumes() == (["other"], ["other"]), fault
        assert c.ask(cut.api, "ls", "/v", host={"Binds": ["other:/v"]}) == "kept"
        cut.api.delete("/volumes/other").ok(204)


def test_a_copy_of_a_volume_is_made_whole_or_not_at_all(cut: Cut) -> None:
    cut.api.post("/volumes/create", {"Name": "data"}).ok(201)
    cut.fail("volumes.copy.before_tree", lambda: cut.api.post("/volumes/data/copy", name="other"))
    assert cut.volumes() == (["data"], ["data"])


def test_a_volume_that_was_just_mounted_is_not_left_mounted(cut: Cut) -> None:
    options = {"type": "tmpfs", "device": "tmpfs"}
    cut.api.post("/volumes/create", {"Name": "data", "DriverOpts": options}).ok(201)
    container_id = c.create(cut.api, "true", host={"Binds": ["data:/v"]})
    cut.die("volumes.mount.after_driver", lambda: cut.api.post(f"/containers/{container_id}/start"))
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        assert str(cut.daemon.root) not in table.read()
    cut.api.delete(f"/containers/{container_id}").ok(204)
    cut.api.delete("/volumes/data").ok(204)


def test_ports_published_anew_are_those_of_the_next_daemon_as_well(cut: Cut) -> None:
    container_id = c.sleeper(cut.api, host={"NetworkMode": "bridge"}, ExposedPorts={"80/tcp": {}})
    body = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}

    def update() -> Response:
        return cut.api.post(f"/containers/{container_id}/update", body)

    cut.die("networks.publish.after_rules", update)
    found = c.inspect(cut.api, container_id)
    ports = found["NetworkSettings"]["Ports"]["80/tcp"]
    assert bool(ports) == bool(found["HostConfig"]["PortBindings"])
    update().ok()
    assert c.inspect(cut.api, container_id)["NetworkSettings"]["Ports"]["80/tcp"]
    cut.daemon.clean()
