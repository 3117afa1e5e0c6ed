"""``ps``, ``inspect``, ``top``, ``stats``, ``update``, ``prune`` and ``commit``."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support.api import Api

pytestmark = pytest.mark.requires("root", "overlayfs")


def listed(api: Api, **query: object) -> list[str]:
    filters = query.pop("filters", None)
    if filters is not None:
        query["filters"] = json.dumps(filters)
    found = api.get("/containers/json", **query).ok().json()
    return [entry["Names"][0].removeprefix("/") for entry in found]


def test_filters(api: Api) -> None:
    c.sleeper(api, name="one", Labels={"tier": "web", "x": ""}, ExposedPorts={"80/tcp": {}})
    c.create(api, name="two", Labels={"tier": "db"}, host={"Binds": ["vol:/v"]})
    three = c.run(api, "sh", "-c", "exit 3", name="three")
    c.wait(api, three)
    expectations: list[tuple[dict[str, list[str]], list[str]]] = [
        ({}, ["three", "two", "one"]),
        ({"name": ["^t"]}, ["three", "two"]),
        ({"name": ["one"]}, ["one"]),
        ({"id": [three[:12]]}, ["three"]),
        ({"label": ["tier"]}, ["two", "one"]),
        ({"label": ["tier=web"]}, ["one"]),
        ({"status": ["created"]}, ["two"]),
        ({"status": ["running", "exited"]}, ["three", "one"]),
        ({"exited": ["3"]}, ["three"]),
        ({"exited": ["0"]}, []),
        ({"ancestor": ["busybox"]}, ["three", "two", "one"]),
        ({"ancestor": ["nosuch"]}, []),
        ({"before": ["three"]}, ["two", "one"]),
        ({"since": ["one"]}, ["three", "two"]),
        ({"volume": ["vol"]}, ["two"]),
        ({"volume": ["/v"]}, ["two"]),
        ({"network": ["none"]}, ["three", "two", "one"]),
        ({"network": ["bridge"]}, []),
        ({"expose": ["80"]}, ["one"]),
        ({"publish": ["80"]}, []),
        ({"health": ["none"]}, ["three", "two", "one"]),
        ({"is-task": ["false"]}, ["three", "two", "one"]),
    ]
    for filters, names in expectations:
        assert listed(api, all=True, filters=filters) == names, filters
    assert listed(api) == ["one"]
    assert listed(api, limit=2) == ["three", "two"]
    assert listed(api, filters={"status": ["created"]}) == ["two"]
    for bad in ({"colour": ["red"]}, {"status": ["odd"]}, {"exited": ["x"]}, {"publish": ["x"]}):
        assert api.get("/containers/json", filters=json.dumps(bad)).status == 400
    gone = api.get("/containers/json", filters=json.dumps({"before": ["nosuch"]}))
    assert gone.status == 404


def test_a_line_of_the_list(api: Api) -> None:
    container_id = c.sleeper(api, name="shown", Labels={"a": "b"})
    (entry,) = api.get("/containers/json", size=True).ok().json()
    assert entry["Id"] == container_id
    assert entry["Names"] == ["/shown"]
    assert entry["Image"] == "busybox"
    assert entry["ImageID"].startswith("sha256:")
    assert entry["Command"].startswith("sh -c 'trap")
    assert (entry["State"], entry["Status"].startswith("Up ")) == ("running", True)
    assert entry["Labels"] == {"a": "b"}
    assert entry["HostConfig"]["NetworkMode"] == "none"
    assert list(entry["NetworkSettings"]["Networks"]) == ["none"]
    assert entry["SizeRootFs"] > 0
    api.post(f"/containers/{container_id}/pause").ok()
    (entry,) = api.get("/containers/json").ok().json()
    assert entry["Status"].endswith("(Paused)")


def test_inspect_tells_names_of_other_containers_as_docker_does(api: Api) -> None:
    other = c.sleeper(api, name="other", host={"IpcMode": "shareable", "NetworkMode": "bridge"})
    joined = {"NetworkMode": "container:other", "PidMode": "container:other"}
    joining = c.create(api, host={**joined, "IpcMode": f"container:{other[:12]}"})
    host = c.inspect(api, joining)["HostConfig"]
    modes = {host[kind] for kind in ("NetworkMode", "PidMode", "IpcMode")}
    assert modes == {f"container:{other}"}
    linked = c.create(api, name="linked", host={"NetworkMode": "bridge", "Links": ["other:db"]})
    api.post(f"/containers/{other}/rename", name="renamed").ok(204)
    assert c.inspect(api, linked)["HostConfig"]["Links"] == ["/renamed:/linked/db"]
    api.post(f"/containers/{joining}/start").ok(204)
    assert c.wait(api, joining) == 0
    later = c.create(api, host={"NetworkMode": "container:nope"})
    answer = api.post(f"/containers/{later}/start")
    assert (answer.status, answer.message) == (404, "No such container: nope")
    for kind in ("PidMode", "IpcMode"):
        body = {"Image": c.IMAGE, "HostConfig": {kind: "container:nope"}}
        answer = api.post("/containers/create", body)
        assert (answer.status, answer.message) == (400, "No such container: nope")


def test_a_log_has_a_path_once_it_is_written(api: Api) -> None:
    container_id = c.create(api)
    assert c.inspect(api, container_id)["LogPath"] == ""
    local = c.run(api, host={"LogConfig": {"Type": "local"}})
    c.wait(api, local)
    assert c.inspect(api, local)["LogPath"] == ""


def test_the_containers_own_address_is_that_of_its_network(api: Api) -> None:
    """From 1.44 on it belongs to the endpoint, and the daemon says so."""
    address = "02:42:0a:0b:0c:0d"
    body = {"Image": c.IMAGE, "MacAddress": address, "HostConfig": {"NetworkMode": "bridge"}}
    made = api.post("/containers/create", body).ok(201).json()
    assert "MacAddress field is now deprecated" in made["Warnings"][0]
    seen = c.inspect(api.at("1.45"), made["Id"])
    assert seen["Config"]["MacAddress"] == address
    assert seen["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == address
    of_endpoint = {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:0a:0b:0c:0e"}}}
    refused = api.post("/containers/create", {**body, "NetworkingConfig": of_endpoint})
    assert refused.status == 400
    assert "must match the endpoint-specific MAC address" in refused.message
    old = api.at("1.43")
    assert old.post("/containers/create", body).ok(201).json()["Warnings"] == []
    refused = old.post("/containers/create", {**body, "HostConfig": {"NetworkMode": "host"}})
    assert refused.message == "conflicting options: mac-address and the network mode"


@pytest.mark.parametrize(
    ("config", "host", "status"),
    [
        ({"Hostname": "under_score!"}, {}, 201),
        ({"Hostname": "x" * 64}, {}, 201),
        ({"Hostname": "a b"}, {}, 400),
        ({"Hostname": "a#b"}, {}, 400),
        ({}, {"CapAdd": "NET_ADMIN"}, 201),
        ({}, {"CpusetCpus": "0\n"}, 400),
        ({}, {"IOMaximumIOps": 1}, 400),
    ],
)
def test_what_docker_takes_is_taken(
    api: Api, config: dict[str, Any], host: dict[str, Any], status: int
) -> None:
    body = {"Image": c.IMAGE, "HostConfig": {"NetworkMode": "none", **host}, **config}
    answer = api.post("/containers/create", body)
    assert answer.status == status, answer.body


def test_inspect_shows_every_default(api: Api) -> None:
    container_id = c.sleeper(api, name="seen", host={"Memory": 64 << 20})
    seen = c.inspect(api, container_id)
    assert seen["Name"] == "/seen"
    assert seen["Path"] == "sh"
    assert seen["RestartCount"] == 0
    assert seen["Driver"] == "overlay2"
    assert seen["Platform"] == "linux"
    assert seen["LogPath"].endswith("-json.log")
    assert seen["Config"]["Hostname"] == container_id[:12]
    host = seen["HostConfig"]
    assert host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert host["MemorySwap"] == 128 << 20
    assert (host["IpcMode"], host["ShmSize"]) == ("private", 64 << 20)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert seen["GraphDriver"]["Data"]["MergedDir"].startswith("/")
    assert "Health" not in seen["State"]
    assert "SizeRw" not in seen
    assert api.get(f"/containers/{container_id}/json", size=True).json()["SizeRootFs"] > 0


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ({"Privileged": True}, ["label=disable"]),
        ({"Privileged": True, "SecurityOpt": ["label=user:x"]}, ["label=user:x"]),
        ({"IpcMode": "host", "SecurityOpt": ["apparmor=x"]}, ["apparmor=x", "label=disable"]),
        ({"PidMode": "host"}, ["label=disable"]),
        ({"IpcMode": "private"}, None),
    ],
)
def test_what_shares_with_the_host_is_shown_without_label(
    api: Api, host: dict[str, Any], shown: list[str] | None
) -> None:
    seen = c.inspect(api, c.create(api, host=host))
    assert seen["HostConfig"]["SecurityOpt"] == shown


def test_the_address_of_an_old_clients_container_is_shown(api: Api) -> None:
    old, mac = api.at("1.43"), "02:42:ac:11:00:09"
    bridged = c.create(old, MacAddress=mac, host={"NetworkMode": "bridge"})
    assert c.inspect(old, bridged)["Config"]["MacAddress"] == mac
    assert "MacAddress" not in c.inspect(old, c.create(old))["Config"]


def test_a_log_rotates_though_no_option_says_so(api: Api) -> None:
    script = "line=$(head -c 8000 /dev/zero | tr '\\0' x); yes $line | head -c 21m"
    container_id = c.run(api, "sh", "-c", script)
    assert c.wait(api, container_id) == 0
    log = Path(c.inspect(api, container_id)["LogPath"])
    assert [p.name for p in log.parent.glob(f"{log.name}.1*")]
    assert log.stat().st_size < 20 << 20


def test_top_and_stats(api: Api) -> None:
    container_id = c.sleeper(api)
    table = api.get(f"/containers/{container_id}/top").ok().json()
    assert table["Titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert table["Processes"][0][0] == "root"
    assert table["Processes"][0][7].startswith("sh -c")
    custom = api.get(f"/containers/{container_id}/top", ps_args="-o pid,comm").ok().json()
    assert custom["Titles"] == ["PID", "COMMAND"]
    own = str(c.state(api, container_id)["Pid"])
    assert own in {row[0] for row in custom["Processes"]}
    assert "1" not in {row[0] for row in custom["Processes"]}, "no process of the host"
    renamed = api.get(f"/containers/{container_id}/top", ps_args="-o comm=PID,pid")
    assert renamed.status == 400
    one = {"stream": False, "one-shot": True}
    shot = api.get(f"/containers/{container_id}/stats", **one).ok().json()
    assert shot["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert shot["memory_stats"]["usage"] > 0
    assert shot["pids_stats"]["current"] >= 1
    readings = api.stream(f"/containers/{container_id}/stats")
    first, second = next(readings), next(readings)
    readings.close()
    assert second["precpu_stats"] == first["cpu_stats"]
    stopped = c.create(api)
    assert api.get(f"/containers/{stopped}/stats", stream=False).ok().json()["id"] == stopped
    assert api.get(f"/containers/{stopped}/top").status == 409


def test_update_changes_limits_of_a_running_container(api: Api) -> None:
    container_id = c.sleeper(api, host={"Memory": 64 << 20, "MemorySwap": 128 << 20})
    wanted = {"Memory": 96 << 20, "CpuShares": 512, "PidsLimit": 77}
    api.post(f"/containers/{container_id}/update", wanted).ok()
    host = c.inspect(api, container_id)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["CpuShares"]) == (96 << 20, 128 << 20, 512)
    script = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"
    assert c.exec_(api, container_id, "sh", "-c", script)[1].strip() == "77"
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4}}
    api.post(f"/containers/{container_id}/update", policy).ok()
    assert c.inspect(api, container_id)["HostConfig"]["RestartPolicy"] == policy["RestartPolicy"]
    assert api.post(f"/containers/{container_id}/update", {"Memory": 1}).status == 400
    assert api.post(f"/containers/{container_id}/update", {"Memory": 256 << 20}).status == 409


def test_update_changes_and_lifts_limits_of_devices(api: Api) -> None:
    nodes = (Path("/dev", whole.name) for whole in sorted(Path("/sys/block").iterdir()))
    disk = next(str(node) for node in nodes if node.is_block_device())
    first = [{"Path": disk, "Rate": 2 << 20}]
    container_id = c.sleeper(api, host={"BlkioDeviceReadBps": first})

    def limits(what: str) -> str:
        v1, v2 = f"/sys/fs/cgroup/blkio/blkio.throttle.{what}_device", "/sys/fs/cgroup/io.max"
        return c.exec_(api, container_id, "sh", "-c", f"cat {v1} {v2} 2>/dev/null")[1]

    update = f"/containers/{container_id}/update"
    assert str(2 << 20) in limits("read_bps")
    api.post(update, {"BlkioDeviceWriteIOps": [{"Path": disk, "Rate": 77}]}).ok()
    assert str(2 << 20) in limits("read_bps")
    assert "77" in limits("write_iops")
    api.at("1.54").post(update, {"BlkioDeviceReadBps": []}).ok()
    assert c.inspect(api, container_id)["HostConfig"]["BlkioDeviceReadBps"] == first
    api.post(update, {"BlkioDeviceReadBps": []}).ok()
    assert str(2 << 20) not in limits("read_bps")
    assert "77" in limits("write_iops")
    assert not c.inspect(api, container_id)["HostConfig"]["BlkioDeviceReadBps"]


def test_prune_takes_what_does_not_run(api: Api) -> None:
    kept = c.sleeper(api)
    labelled = c.create(api, Labels={"keep": ""})
    gone = c.create(api)
    since = time.time()
    filters = json.dumps({"label!": ["keep"]})
    answer = api.post("/containers/prune", filters=filters).ok().json()
    assert answer["ContainersDeleted"] == [gone]
    assert {c.inspect(api, i)["Id"] for i in (kept, labelled)} == {kept, labelled}
    assert [e["Action"] for e in api.events(since, type=["container"])] == ["destroy", "prune"]
    early = json.dumps({"until": ["24h"]})
    assert api.post("/containers/prune", filters=early).json()["ContainersDeleted"] is None
    assert api.post("/containers/prune", filters=json.dumps({"odd": ["1"]})).status == 400


def test_commit_of_what_is_just_about_to_end_is_no_conflict(api: Api) -> None:
    for _ in range(20):
        container_id = c.run(api, "true")
        made = api.post("/commit", {}, container=container_id)
        assert made.status == 201, made.message
        api.delete(f"/images/{made.json()['Id']}").ok()
        api.delete(f"/containers/{container_id}", force=True).ok(204)


def test_commit_makes_an_image_that_runs(api: Api) -> None:
    container_id = c.run(api, "sh", "-c", "echo x > /new", Env=["A=1"])
    c.wait(api, container_id)
    since = time.time()
    query = {
        "container": container_id,
        "repo": "made",
        "tag": "1",
        "comment": "why",
        "author": "who",
        "changes": 'CMD ["cat", "/new"]',
    }
    image = api.post("/commit", {}, **query).ok(201).json()["Id"]
    try:
        found = [f"{e['Type']} {e['Action']}" for e in api.events(since)]
        assert {"image tag", "container commit"} <= set(found)
        shown = api.get("/images/made:1/json").ok().json()
        assert (shown["Id"], shown["Author"], shown["Comment"]) == (image, "who", "why")
        assert shown["Parent"] == api.get("/images/busybox/json").ok().json()["Id"]
        assert "A=1" in shown["Config"]["Env"]
        body = {"Image": "made:1", "HostConfig": {"NetworkMode": "none"}}
        heir = api.post("/containers/create", body).ok(201).json()["Id"]
        api.post(f"/containers/{heir}/start").ok()
        assert c.wait(api, heir) == 0
        assert c.output(api, heir) == "x\n"
        api.delete(f"/containers/{heir}").ok()
        bad = api.post("/commit", {}, container=container_id, changes="RUN x")
        assert bad.status == 400
    finally:
        api.delete("/images/made:1", force=True)


def test_the_list_answers_while_a_container_is_stuck(api: Api) -> None:
    """moby#12606: one container that hangs must not hold up the others."""
    c.run(api, "sh", "-c", "trap '' TERM; sleep 1000", name="stuck")
    threads_answer = []

    def stop() -> None:
        threads_answer.append(api.post("/containers/stuck/stop", t=2).status)

    stopping = threading.Thread(target=stop)
    stopping.start()
    for _ in range(5):
        began = time.monotonic()
        assert listed(api, all=True) == ["stuck"]
        c.inspect(api, "stuck")
        assert time.monotonic() - began < 2
    stopping.join(20)
    assert threads_answer == [204]
