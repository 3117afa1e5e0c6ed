"""A container's life through the API: states, statuses, and the events in Docker's order."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from support import containers as c
from support.api import Api

pytestmark = pytest.mark.requires("root", "overlayfs")


def actions(api: Api, since: float, container_id: str) -> list[str]:
    """Return what happened to a container, its networks and volumes."""
    return [
        f"{e['Type']} {e['Action']}"
        for e in api.events(since)
        if container_id in {e["Actor"]["ID"], e["Actor"]["Attributes"].get("container")}
    ]


def test_create_start_stop_remove(api: Api) -> None:
    since = time.time()
    container_id = c.sleeper(api, name="life")
    running = c.state(api, container_id)
    assert (running["Status"], running["Running"]) == ("running", True)
    assert running["Pid"] > 1
    assert api.post("/containers/life/start").status == 304
    api.post("/containers/life/stop", t=5).ok(204)
    assert api.post("/containers/life/stop").status == 304
    stopped = c.state(api, container_id)
    assert (stopped["Status"], stopped["ExitCode"], stopped["Pid"]) == ("exited", 0, 0)
    assert stopped["FinishedAt"] > stopped["StartedAt"]
    api.delete("/containers/life").ok(204)
    assert api.get("/containers/life/json").status == 404
    assert actions(api, since, container_id) == [
        "container create",
        "network connect",
        "container start",
        "container kill",
        "container die",
        "network disconnect",
        "container stop",
        "container destroy",
    ]


def test_a_process_that_ignores_the_stop_signal_is_killed(api: Api) -> None:
    since = time.time()
    container_id = c.run(api, "sleep", "1000")  # pid 1 has no handler
    api.post(f"/containers/{container_id}/stop", t=0).ok(204)
    assert c.state(api, container_id)["ExitCode"] == 137
    kills = [e for e in api.events(since, event=["kill"]) if e["Actor"]["ID"] == container_id]
    assert [e["Actor"]["Attributes"]["signal"] for e in kills] == ["15", "9"]


def test_the_stop_signal_of_request_container_and_image_counts(api: Api) -> None:
    trap = "trap 'exit 7' USR1; trap 'exit 8' USR2; echo up; while :; do sleep 0.05; done"
    container_id = c.run(api, "sh", "-c", trap, StopSignal="SIGUSR1")
    c.until(lambda: "up" in c.output(api, container_id))
    api.post(f"/containers/{container_id}/stop").ok(204)
    assert c.state(api, container_id)["ExitCode"] == 7
    api.post(f"/containers/{container_id}/start").ok(204)
    c.until(lambda: c.output(api, container_id).count("up") == 2)
    api.post(f"/containers/{container_id}/stop", signal="USR2").ok(204)
    assert c.state(api, container_id)["ExitCode"] == 8


def test_start_takes_no_settings(api: Api) -> None:
    container_id = c.create(api)
    refused = api.post(f"/containers/{container_id}/start", {"PublishAllPorts": True})
    assert (refused.status, "removed in v1.24" in refused.message) == (400, True)
    api.post(f"/containers/{container_id}/start", {}).ok(204)


def test_kill_sends_the_signal_and_says_so(api: Api) -> None:
    trap = "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done"
    container_id = c.run(api, "sh", "-c", trap)
    c.until(lambda: "up" in c.output(api, container_id))
    api.post(f"/containers/{container_id}/kill", signal="HUP").ok(204)
    c.until(lambda: "hup" in c.output(api, container_id))
    assert api.post(f"/containers/{container_id}/kill", signal="NONSENSE").status == 400
    api.post(f"/containers/{container_id}/kill").ok(204)
    ended = c.state(api, container_id)  # whoever sends KILL need not wait
    assert (ended["Running"], ended["ExitCode"]) == (False, 137)
    refused = api.post(f"/containers/{container_id}/kill")
    assert refused.status == 409
    assert "is not running" in refused.message


def test_stop_of_a_paused_container_thaws_then_kills(api: Api) -> None:
    container_id = c.sleeper(api)
    api.post(f"/containers/{container_id}/pause").ok(204)
    assert c.state(api, container_id)["Paused"] is True
    assert api.post(f"/containers/{container_id}/pause").status == 409
    assert api.post(f"/containers/{container_id}/exec", {"Cmd": ["true"]}).status == 409
    assert api.delete(f"/containers/{container_id}").status == 409
    api.post(f"/containers/{container_id}/stop", t=5).ok(204)
    assert c.state(api, container_id)["ExitCode"] == 0
    assert api.post(f"/containers/{container_id}/unpause").status == 409


def test_restart_begins_anew_and_says_so(api: Api) -> None:
    since = time.time()
    container_id = c.sleeper(api)
    before = c.state(api, container_id)
    api.post(f"/containers/{container_id}/restart", t=5).ok(204)
    after = c.state(api, container_id)
    assert after["Pid"] != before["Pid"]
    assert after["StartedAt"] > before["StartedAt"]
    assert actions(api, since, container_id)[-2:] == ["container start", "container restart"]


def test_rename_frees_the_old_name(api: Api) -> None:
    container_id = c.create(api, name="first")
    c.create(api, name="second")
    taken = api.post("/containers/first/rename", name="second")
    assert taken.status == 409
    assert 'Conflict. The container name "/second" is already in use' in taken.message
    assert api.post("/containers/first/rename", name="a b").status == 400
    assert api.post("/containers/first/rename", name="").status == 400
    api.post("/containers/first/rename", name="third").ok(204)
    assert c.inspect(api, "third")["Id"] == container_id
    c.create(api, name="first")


def test_containers_are_found_by_name_id_and_unique_prefix(api: Api) -> None:
    container_id = c.create(api, name="findme")
    for reference in ("findme", container_id, container_id[:12], container_id[:20]):
        assert c.inspect(api, reference)["Id"] == container_id
    assert api.get("/containers/nosuch/json").message == "No such container: nosuch"


def test_wait_for_the_next_exit_and_for_the_removal(api: Api) -> None:
    container_id = c.create(api, "sh", "-c", "exit 3")
    codes: dict[str, int] = {}

    def waiter(condition: str) -> Callable[[], None]:
        def work() -> None:
            codes[condition] = c.wait(api, container_id, condition)

        return work

    threads = [threading.Thread(target=waiter(word)) for word in ("next-exit", "removed")]
    for thread in threads:
        thread.start()
    time.sleep(0.1)  # both must be counted before the start
    assert c.wait(api, container_id) == 0, "a container that never ran is not running"
    api.post(f"/containers/{container_id}/start").ok(204)
    threads[0].join(10)
    assert codes == {"next-exit": 3}
    assert c.wait(api, container_id) == 3
    api.delete(f"/containers/{container_id}").ok(204)
    threads[1].join(10)
    assert codes["removed"] == 3
    assert api.post("/containers/x/wait", condition="odd").status == 404


def test_removal_of_a_running_container_needs_force(api: Api) -> None:
    container_id = c.sleeper(api)
    refused = api.delete(f"/containers/{container_id}")
    assert refused.status == 409
    assert "container is running" in refused.message
    api.delete(f"/containers/{container_id}", force=True).ok(204)
    assert api.delete(f"/containers/{container_id}").status == 404


def test_auto_removal_takes_the_anonymous_volumes_too(api: Api) -> None:
    host = {"AutoRemove": True, "Binds": ["kept:/kept"]}
    container_id = c.create(api, "true", host=host, Volumes={"/data": {}})
    names = {m["Destination"]: m["Name"] for m in c.inspect(api, container_id)["Mounts"]}
    removed = threading.Thread(target=c.wait, args=(api, container_id, "removed"))
    removed.start()
    time.sleep(0.05)
    api.post(f"/containers/{container_id}/start").ok(204)
    removed.join(10)
    assert api.get(f"/containers/{container_id}/json").status == 404
    assert api.get(f"/volumes/{names['/data']}").status == 404
    assert api.get("/volumes/kept").status == 200


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["nosuch"], 127, "executable file not found in $PATH"),
        (["/nosuch"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
    ],
)
def test_a_command_that_cannot_run_leaves_the_container_created(
    api: Api, command: list[str], code: int, words: str
) -> None:
    container_id = c.create(api, *command)
    failed = api.post(f"/containers/{container_id}/start")
    assert failed.status == 400
    assert words in failed.message
    state = c.state(api, container_id)
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert words in state["Error"]


def test_a_limit_that_the_kernel_refuses_leaves_no_cgroup(api: Api) -> None:
    container_id = c.create(api, "true", host={"PidsLimit": 1 << 40})
    failed = api.post(f"/containers/{container_id}/start")
    assert "Invalid argument" in failed.message
    left = [path for path, _, _ in os.walk("/sys/fs/cgroup") if container_id in path]
    assert left == []


def test_a_conflict_of_names_and_an_unknown_image(api: Api) -> None:
    c.create(api, name="dup")
    body: dict[str, Any] = {"Image": "busybox", "Cmd": ["true"]}
    assert api.post("/containers/create", body, name="dup").status == 409
    missing = api.post("/containers/create", {"Image": "nosuch:1", "Cmd": ["true"]})
    assert (missing.status, missing.message) == (404, "No such image: nosuch:1")


def test_many_clients_race_on_one_name(api: Api) -> None:
    """Whatever wins, the daemon stays consistent and nothing hangs."""
    c.sleeper(api, name="raced")
    requests: list[Callable[[], object]] = [
        lambda: api.post("/containers/raced/stop", t=1),
        lambda: api.post("/containers/raced/start"),
        lambda: api.post("/containers/raced/restart", t=1),
        lambda: api.post("/containers/raced/kill"),
        lambda: api.post("/containers/raced/pause"),
        lambda: api.post("/containers/raced/unpause"),
        lambda: api.get("/containers/json", all=True),
        lambda: api.post("/containers/raced/exec", {"Cmd": ["true"]}),
    ]
    threads = [threading.Thread(target=work) for work in requests * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert not any(thread.is_alive() for thread in threads)
    api.delete("/containers/raced", force=True).ok(204)


def test_a_prune_goes_on_although_its_client_hangs_up(api: Api) -> None:
    for _ in range(30):
        c.create(api, Labels={"pruned": "yes"})

    def left() -> int:
        filters = {"label": ["pruned"]}
        return len(api.get("/containers/json", all=True, filters=filters).ok().json())

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(api.path))
        filters = quote(json.dumps({"label": ["pruned"]}))
        client.sendall(
            f"POST /containers/prune?filters={filters} HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        c.until(lambda: left() < 30)
    c.until(lambda: left() == 0)
