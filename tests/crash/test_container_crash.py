"""Every step of a container's life cut off: by an error, and by the death of the daemon."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

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
UNDO = [
    "runtime.task.before_delete",
    "networks.leave.before_record",
    "containers.mounts.before_release",
    "containers.memory.before_release",
    "layers.rw.before_unmount",
]
CONNECT = [
    "networks.connect.after_record",
    "networks.connect.after_namespace",
    "containers.connect.before_note",
]
DISCONNECT = [
    "networks.disconnect.after_record",
    "containers.disconnect.before_note",
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


@pytest.mark.parametrize("next_deed", ["rm", "start", "stop", "kill -9"])
def test_what_a_failed_start_could_not_undo_is_undone_by_whatever_comes_next(
    crashing: Callable[[str], Daemon], next_deed: str
) -> None:
    daemon = crashing("")
    view = {"Type": "image", "Source": "busybox", "Target": "/view"}
    host = {**HOST, "IpcMode": "shareable", "Mounts": [view]}
    for fault in UNDO:
        container_id = c.create(daemon.api, "sleep", "1000", host=host)
        rearm(daemon, f"containers.start.after_start=error;{fault}=error")
        failed = daemon.api.post(f"/containers/{container_id}/start")
        assert "containers.start.after_start" in failed.message, "not why it is not undone"
        assert c.state(daemon.api, container_id)["Status"] == "created", fault
        assert holds(daemon, container_id), fault
        rearm(daemon, "")
        if next_deed == "start":
            daemon.api.post(f"/containers/{container_id}/start").ok(204)
            daemon.api.post(f"/containers/{container_id}/kill").ok()
            c.wait(daemon.api, container_id)
        elif next_deed == "stop":
            daemon.api.post(f"/containers/{container_id}/stop").ok(304)
            assert not holds(daemon, container_id), fault
        elif next_deed == "kill -9":
            daemon.restart(kill=True)
            assert not holds(daemon, container_id), fault
        daemon.api.delete(f"/containers/{container_id}", v=True).ok()
        demand_clean(daemon)


def holds(daemon: Daemon, container_id: str) -> bool:
    """Whether the only container, which does not run, has a mount, a sandbox or a bundle."""
    settings = c.inspect(daemon.api, container_id)["NetworkSettings"]
    bundle = daemon.exec_root / "tasks" / container_id
    ours = [x for x in mounted().splitlines() if str(daemon.root) in x and "/netns/" not in x]
    return bool(ours or settings["SandboxID"] or bundle.exists())


def test_death_in_a_create_leaves_nothing(crashing: Callable[[str], Daemon]) -> None:
    daemon = crashing("")
    for fault in CREATE:
        rearm(daemon, f"{fault}=kill")
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": HOST}
        volumes: dict[str, object] = {"Volumes": {"/anonymous": {}}}
        try_to(lambda: daemon.api.post("/containers/create", body | volumes, name="again"))  # noqa: B023
        bury(daemon)
        demand_clean(daemon)
        volumes_left = daemon.api.get("/volumes").ok().json()["Volumes"]
        assert {v["Name"] for v in volumes_left} <= {"data"}, fault


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


def test_a_network_that_death_cut_in_on_is_there_after_the_next_start_too(
    crashing: Callable[[str], Daemon],
) -> None:
    """And one that was left is not: what a container is on, and what it will join, are one."""
    daemon = crashing("")
    daemon.api.post("/networks/create", {"Name": "web"}).ok(201)
    container_id = c.sleeper(daemon.api, host={"NetworkMode": "bridge"})
    for fault in CONNECT:
        change_and_lose(daemon, "connect", container_id, fault)
        assert joined(daemon, container_id) == {"bridge", "web"}, fault
        daemon.api.post(f"/containers/{container_id}/restart", t=0).ok(204)
        assert joined(daemon, container_id) == {"bridge", "web"}, fault
        daemon.api.post("/networks/web/disconnect", {"Container": container_id}).ok()
    for fault in DISCONNECT:
        daemon.api.post("/networks/web/connect", {"Container": container_id}).ok()
        change_and_lose(daemon, "disconnect", container_id, fault)
        assert joined(daemon, container_id) == {"bridge"}, fault
        daemon.api.post(f"/containers/{container_id}/restart", t=0).ok(204)
        assert joined(daemon, container_id) == {"bridge"}, fault
    daemon.clean()
    demand_clean(daemon)


def change_and_lose(daemon: Daemon, verb: str, container_id: str, fault: str) -> None:
    """Put a container on the network, or take it off: the daemon dies of it, and comes again."""
    rearm(daemon, f"{fault}=kill")
    try_to(lambda: daemon.api.post(f"/networks/web/{verb}", {"Container": container_id}))
    bury(daemon)


def joined(daemon: Daemon, container_id: str) -> set[str]:
    """Return the networks a container is shown on, all of which it has an address on."""
    shown = c.inspect(daemon.api, container_id)["NetworkSettings"]["Networks"]
    assert all(network["IPAddress"] for network in shown.values())
    return set(shown)


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


def test_execs_outlive_the_daemon(make_daemon: MakeDaemon) -> None:
    """Of each that ran the end is told, whether it came before or after the next daemon."""
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    api = daemon.api
    container_id = c.sleeper(api)

    def begin(*command: str, **config: object) -> str:
        body = {"Cmd": list(command), "Env": ["A=b"], **config}
        made: str = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
        api.post(f"/exec/{made}/start", {"Detach": True, "Tty": "Tty" in config}).ok()
        return made

    going = begin("sh", "-c", "trap 'exit 6' TERM; touch /on; while :; do sleep 0.05; done")
    ends = begin("sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 7", Tty=True)
    lost = begin("sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 8")
    c.until(lambda: c.exec_(api, container_id, "test", "-e", "/on")[0] == 0)
    before = {i: api.get(f"/exec/{i}/json").ok().json() for i in (going, ends, lost)}
    os.kill(c.parent(before[lost]["Pid"]), signal.SIGKILL)
    root = Path(f"/proc/{c.state(api, container_id)['Pid']}/root")
    daemon.kill()
    (root / "go").touch()
    c.until(lambda: all(c.is_dead(before[i]["Pid"]) for i in (ends, lost)))
    daemon.start()

    assert api.get(f"/exec/{going}/json").ok().json() == before[going]
    assert c.inspect(api, container_id)["ExecIDs"] == [going]
    c.until(lambda: not api.get(f"/exec/{ends}/json").ok().json()["Running"])
    assert api.get(f"/exec/{ends}/json").json()["ExitCode"] == 7
    c.until(lambda: not api.get(f"/exec/{lost}/json").ok().json()["Running"])
    assert api.get(f"/exec/{lost}/json").json()["ExitCode"] in {8, 255}
    assert api.post(f"/exec/{going}/resize", h=5, w=5).status == 200
    assert api.post(f"/exec/{going}/start", {"Detach": True}).status == 409
    os.kill(before[going]["Pid"], signal.SIGTERM)
    c.until(lambda: not api.get(f"/exec/{going}/json").ok().json()["Running"])
    assert api.get(f"/exec/{going}/json").json()["ExitCode"] == 6
    assert list((daemon.exec_root / "tasks" / container_id / "exec").iterdir()) == []
    daemon.clean()
    demand_clean(daemon)


def test_an_exec_whose_start_loses_the_daemon_is_found_again(
    crashing: Callable[[str], Daemon],
) -> None:
    """It runs, or its end is told: however short it was, and however soon the daemon died."""
    daemon = crashing("")
    container_id = c.sleeper(daemon.api)
    go = Path(f"/proc/{c.state(daemon.api, container_id)['Pid']}/root/go")
    short = begin_and_lose(daemon, container_id, "exit 7")
    c.until(lambda: not daemon.api.get(f"/exec/{short}/json").ok().json()["Running"])
    assert daemon.api.get(f"/exec/{short}/json").json()["ExitCode"] == 7
    long = begin_and_lose(daemon, container_id, "until [ -e /go ]; do sleep 0.05; done; exit 5")
    assert daemon.api.get(f"/exec/{long}/json").ok().json()["Running"] is True
    go.touch()
    c.until(lambda: not daemon.api.get(f"/exec/{long}/json").ok().json()["Running"])
    assert daemon.api.get(f"/exec/{long}/json").json()["ExitCode"] == 5
    daemon.clean()
    demand_clean(daemon)


def begin_and_lose(daemon: Daemon, container_id: str, script: str) -> str:
    """Start an exec, whose daemon dies of it; return its id, under the next daemon."""
    body = {"Cmd": ["sh", "-c", script]}
    made: str = daemon.api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
    rearm(daemon, "containers.exec.after_start=kill")
    try_to(lambda: daemon.api.post(f"/exec/{made}/start", {"Detach": True}))
    bury(daemon)
    return made


def test_a_probe_that_hung_ends_with_the_daemon_that_watched_its_time(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    api = daemon.api
    check = {
        "Test": ["CMD-SHELL", "[ -e /fine ] || { touch /hung; sleep 1000; }"],
        "Interval": 100_000_000,
        "Timeout": 600_000_000_000,
    }
    container_id = c.sleeper(api, Healthcheck=check)
    c.until(lambda: c.exec_(api, container_id, "test", "-e", "/hung")[0] == 0)
    root = Path(f"/proc/{c.state(api, container_id)['Pid']}/root")
    daemon.kill()
    (root / "fine").touch()
    daemon.start()
    c.until(lambda: c.state(api, container_id)["Health"]["Status"] == "healthy")
    c.until(lambda: "1000" not in str(api.get(f"/containers/{container_id}/top").json()))
    daemon.clean()
    demand_clean(daemon)


def test_a_hung_monitor_does_not_hold_up_the_start(make_daemon: MakeDaemon) -> None:
    """moby#33870 after a restart: what it holds is watched without it."""
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    api = daemon.api
    hung, well = c.sleeper(api), c.sleeper(api)
    monitor = c.parent(c.state(api, hung)["Pid"])
    os.kill(monitor, signal.SIGSTOP)
    try:
        daemon.restart(kill=True)
        assert c.state(api, hung)["Running"] is True
        assert c.exec_(api, well, "echo", "on") == (0, "on\n")
    finally:
        os.kill(monitor, signal.SIGCONT)
    api.post(f"/containers/{hung}/stop", t=5).ok(204)
    daemon.clean()
    demand_clean(daemon)
