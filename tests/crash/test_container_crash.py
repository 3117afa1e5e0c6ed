"""Every step of a container's life cut off: by an error, and by the death of the daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPException

import pytest

from support import containers as c
from support import images
from support.daemon import Daemon

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(120)]
MakeDaemon = Callable[..., Daemon]

CREATE = [
    "containers.create.after_intent",
    "containers.create.after_directory",
    "containers.create.after_layer",
    "containers.create.after_volumes",
    "containers.create.before_commit",
    "volumes.create.after_driver",
]
START = [
    "containers.start.after_intent",
    "containers.start.after_rootfs",
    "containers.start.after_network",
    "containers.start.after_mounts",
    "containers.start.before_create",
    "runtime.create.after_bundle",
    "runtime.create.after_launch",
    "containers.start.after_create",
    "containers.start.after_start",
]
REMOVE = [
    "containers.remove.after_intent",
    "containers.remove.after_layer",
    "layers.rw.after_forget",
    "containers.remove.after_directory",
    "containers.remove.after_volume",
]
END = [
    "containers.ending.after_note",
    "containers.release.after_runtime",
    "containers.release.after_networks",
    "containers.release.after_mounts",
]
HOST = {"NetworkMode": "bridge", "Binds": ["data:/data"]}


@pytest.fixture
def crashing(make_daemon: MakeDaemon) -> Callable[[str], Daemon]:
    """Return a maker of a daemon with an image and an armed fault."""

    def make(fault: str) -> Daemon:
        daemon = make_daemon()
        faults = daemon.root / "faults"
        faults.write_text("")
        daemon.env["MOORAGE_FAILPOINTS"] = f"@{faults}"
        daemon.start()
        daemon.load(images.busybox())
        rearm(daemon, fault)
        return daemon

    return make


def rearm(daemon: Daemon, fault: str) -> None:
    """Let the daemon meet another fault."""
    (daemon.root / "faults").write_text(fault)


def bury(daemon: Daemon) -> None:
    """Wait for the death of the daemon, and start the next one without a fault."""
    assert daemon.process is not None
    daemon.process.wait(10)
    rearm(daemon, "")
    daemon.start()


def demand_clean(daemon: Daemon) -> None:
    """Nothing of any container may be left."""
    assert daemon.api.get("/containers/json", all=True).ok().json() == []
    for directory in (daemon.data_root / "containers", daemon.exec_root / "tasks"):
        assert not directory.is_dir() or list(directory.iterdir()) == []
    c.until(lambda: str(daemon.root) not in mounted())  # a namespace goes behind the answer


def mounted() -> str:
    """Return what is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        return table.read()


def try_to(work: Callable[[], object]) -> None:
    """Do what fails or loses its daemon."""
    try:
        work()
    except (OSError, AssertionError, HTTPException):
        return


def test_errors_at_each_step_leave_nothing(crashing: Callable[[str], Daemon]) -> None:
    daemon = crashing("")
    for fault in CREATE:
        rearm(daemon, f"{fault}=error")
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": HOST}
        answer = daemon.api.post("/containers/create", body | {"Volumes": {"/anonymous": {}}})
        assert answer.status == 500, fault
        demand_clean(daemon)
    for fault in START:
        rearm(daemon, f"{fault}=error")
        container_id = c.create(daemon.api, host=HOST)
        assert daemon.api.post(f"/containers/{container_id}/start").status == 500, fault
        state = c.state(daemon.api, container_id)
        assert (state["Status"], state["ExitCode"]) == ("created", 128), fault
        daemon.api.delete(f"/containers/{container_id}", v=True).ok()
        demand_clean(daemon)
    for fault in REMOVE:
        rearm(daemon, f"{fault}=error")
        container_id = c.create(daemon.api, Volumes={"/anonymous": {}})
        assert daemon.api.delete(f"/containers/{container_id}", v=True).status == 500, fault
        assert c.state(daemon.api, container_id)["Dead"] is True
        rearm(daemon, "")
        try_to(lambda: daemon.api.delete(f"/containers/{container_id}", v=True))  # noqa: B023
        demand_clean(daemon)


def test_death_in_a_create_leaves_nothing(crashing: Callable[[str], Daemon]) -> None:
    daemon = crashing("")
    for fault in CREATE:
        rearm(daemon, f"{fault}=kill")
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": HOST}
        volumes: dict[str, object] = {"Volumes": {"/anonymous": {}}}
        try_to(lambda: daemon.api.post("/containers/create", body | volumes, name="again"))  # noqa: B023
        bury(daemon)
        demand_clean(daemon)


def test_death_in_a_start_leaves_a_container_that_starts(
    crashing: Callable[[str], Daemon],
) -> None:
    daemon = crashing("")
    for fault in START:
        rearm(daemon, f"{fault}=kill")
        container_id = c.create(daemon.api, "true", host=HOST)
        try_to(lambda: daemon.api.post(f"/containers/{container_id}/start"))  # noqa: B023
        bury(daemon)
        assert c.state(daemon.api, container_id)["Running"] is False, fault
        daemon.api.post(f"/containers/{container_id}/start").ok(204)
        assert c.wait(daemon.api, container_id) == 0
        daemon.api.delete(f"/containers/{container_id}", v=True).ok()
        demand_clean(daemon)


def test_death_in_a_removal_is_finished_by_the_next_daemon(
    crashing: Callable[[str], Daemon],
) -> None:
    daemon = crashing("")
    for fault in REMOVE:
        rearm(daemon, f"{fault}=kill")
        container_id = c.create(daemon.api, Volumes={"/anonymous": {}})
        try_to(lambda: daemon.api.delete(f"/containers/{container_id}", v=True))  # noqa: B023
        bury(daemon)
        demand_clean(daemon)


def test_death_while_a_container_ends_loses_no_exit_code(
    crashing: Callable[[str], Daemon],
) -> None:
    daemon = crashing("")
    for fault in END:
        rearm(daemon, f"{fault}=kill")
        container_id = c.run(daemon.api, "sh", "-c", "sleep 0.2; exit 5", host=HOST)
        try_to(lambda: c.wait(daemon.api, container_id))  # noqa: B023
        bury(daemon)
        assert c.wait(daemon.api, container_id) == 5, fault
        daemon.api.delete(f"/containers/{container_id}", v=True).ok()
        demand_clean(daemon)


def test_containers_outlive_the_daemon(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    api = daemon.api
    count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
    running = c.run(api, "sh", "-c", count, host={"NetworkMode": "bridge"})
    ending = c.run(api, "sh", "-c", "sleep 0.4; exit 9")
    vanishing = c.run(api, "sleep", "0.4", host={"AutoRemove": True})
    again = c.run(api, "sh", "-c", "sleep 0.4; exit 1", host={"RestartPolicy": {"Name": "always"}})
    paused = c.sleeper(api)
    api.post(f"/containers/{paused}/pause").ok()
    before = c.inspect(api, running)
    daemon.kill()
    time.sleep(1)
    daemon.start()
    after = c.inspect(api, running)
    assert after["State"] | {"Health": None} == before["State"] | {"Health": None}
    assert after["NetworkSettings"] == before["NetworkSettings"]
    assert c.exec_(api, running, "echo", "hi") == (0, "hi\n")
    lines = [int(line) for line in c.output(api, running).split()]
    assert lines == list(range(1, len(lines) + 1)), "no line is lost while the daemon is away"
    assert len(lines) > 15
    assert c.state(api, ending)["ExitCode"] == 9
    assert api.get(f"/containers/{vanishing}/json").status == 404
    c.until(lambda: c.inspect(api, again)["RestartCount"] >= 1)
    assert c.state(api, paused)["Status"] == "paused"
    api.post(f"/containers/{paused}/unpause").ok()
    api.post(f"/containers/{paused}/stop", t=5).ok()
    assert c.state(api, paused)["ExitCode"] == 0
    with c.Hijack(api, f"/containers/{running}/attach?stream=1&stdout=1") as stream:
        stream.read_until(b"\n")
    daemon.clean()
    demand_clean(daemon)


def test_an_ordered_stop_lets_containers_live_and_can_be_told_not_to(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    container_id = c.sleeper(daemon.api)
    daemon.restart()
    assert c.state(daemon.api, container_id)["Running"] is True
    daemon.stop()
    daemon.configure({"live-restore": False, "shutdown-timeout": 3})
    daemon.start()
    policy = {"RestartPolicy": {"Name": "unless-stopped"}}
    unless = c.sleeper(daemon.api, host=policy)
    stopped = c.sleeper(daemon.api, host=policy)
    daemon.api.post(f"/containers/{stopped}/stop", t=3).ok()
    daemon.restart()
    assert c.state(daemon.api, container_id)["ExitCode"] == 0
    c.until(lambda: c.state(daemon.api, unless)["Running"] is True)
    assert c.state(daemon.api, stopped)["Running"] is False
    daemon.clean()
    demand_clean(daemon)
