"""What the daemon tells of itself: info, version, events, disk usage, to clients of any age."""

from __future__ import annotations

import json
import os

import pytest

from support import needs
from support.api import Api, wall_clock
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "docker")

OLD_CLIENT = "/usr/bin/docker"  # Debian's 20.10, API 1.41, beside the newest


def test_info_tells_the_host_and_the_settings(api: Api) -> None:
    info = api.get("/info").ok().json()
    assert info["Driver"] == "overlay2"
    assert (info["OSType"], info["KernelVersion"]) == ("linux", os.uname().release)
    assert info["NCPU"] == len(os.sched_getaffinity(0))
    assert info["CgroupVersion"] in {"1", "2"}
    assert {"crun", "runc"} >= set(info["Runtimes"]) >= {info["DefaultRuntime"]}
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert "name=seccomp,profile=builtin" in info["SecurityOptions"]
    assert {"bridge", "host", "null"} <= set(info["Plugins"]["Network"])
    assert {"json-file", "local"} <= set(info["Plugins"]["Log"])
    assert info["Plugins"]["Volume"][0] == "local"
    assert info["LiveRestoreEnabled"] is True


def test_info_counts_containers_and_images(daemon: Daemon, api: Api) -> None:
    before = api.get("/info").json()
    created = api.post("/containers/create", {"Image": "busybox", "Cmd": ["sleep", "60"]}).ok()
    running = created.json()["Id"]
    api.post(f"/containers/{running}/start").ok(204)
    api.post("/containers/create", {"Image": "busybox"}).ok(201)
    info = api.get("/info").json()
    assert info["Containers"] == before["Containers"] + 2
    assert info["ContainersRunning"] == before["ContainersRunning"] + 1
    assert info["ContainersStopped"] == before["ContainersStopped"] + 1
    assert info["Images"] >= 1
    daemon.clean()


@pytest.mark.parametrize("program", ["docker", OLD_CLIENT])
def test_clients_of_any_age_show_info_and_version(docker: Cli, program: str) -> None:
    docker.program = program
    info = docker.run("info").ok()
    assert "Storage Driver: overlay2" in info.out
    with_systemd = needs.is_met("systemd") and needs.is_met("cgroup2")
    assert f"Cgroup Driver: {'systemd' if with_systemd else 'cgroupfs'}" in info.out
    assert info.err == ""
    version = docker("version")
    assert "Server: Moorage" in version
    assert "API version:      1.55 (minimum version 1.24)" in version
    assert docker("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").startswith("linux/")
    assert "TYPE" in docker("system", "df")
    assert "Images space usage" in docker("system", "df", "-v")


def test_events_can_be_followed_filtered_and_replayed(api: Api, docker: Cli) -> None:
    since = wall_clock()
    followed = ("events", "--since", f"{since:.6f}", "--filter", "type=volume")
    with docker.start(*followed, "--format", "{{.Action}}") as follower:
        try:
            assert follower.stdout is not None
            name = api.post("/volumes/create", {"Name": "observed"}).ok(201).json()["Name"]
            assert follower.stdout.readline() == b"create\n"
            api.delete(f"/volumes/{name}").ok(204)
            assert follower.stdout.readline() == b"destroy\n"
        finally:
            follower.kill()
    replayed = api.events(since, type=["volume"], volume=["observed"])
    assert [event["Action"] for event in replayed] == ["create", "destroy"]
    assert "status" not in replayed[0]
    old = api.at("1.41").events(since, type=["volume"])
    assert [event["Action"] for event in old] == ["create", "destroy"]


def test_events_come_as_the_client_wants_them(api: Api) -> None:
    since = wall_clock()
    name = api.post("/volumes/create", {"Name": "sequenced"}).ok(201).json()["Name"]
    api.delete(f"/volumes/{name}").ok(204)
    path = f"{api.prefix}/events?since={since:.6f}&until={wall_clock():.6f}"
    head = f"GET {path} HTTP/1.0\r\nHost: d\r\nAccept: application/json-seq\r\n\r\n"
    answer = api.exchange(head.encode())
    assert b"\r\nContent-Type: application/json-seq\r\n" in answer
    records = answer.partition(b"\r\n\r\n")[2].split(b"\x1e")
    assert records[0] == b""
    assert {json.loads(record)["Action"] for record in records[1:]} >= {"create", "destroy"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"since": "yesterday"}, "is no time"),
        ({"since": "2", "until": "1"}, "cannot be after"),
        ({"filters": "{"}, "invalid filter"),
    ],
)
def test_events_refuse_what_makes_no_sense(
    api: Api, query: dict[str, object], message: str
) -> None:
    response = api.request("GET", "/events", query=query)
    assert response.status == 400
    assert message in response.message


def test_disk_usage_by_type_and_in_full(daemon: Daemon, api: Api) -> None:
    created = api.post("/containers/create", {"Image": "busybox"}).ok(201).json()["Id"]
    brief = api.get("/system/df").ok().json()
    assert brief["ContainerUsage"]["TotalCount"] == 1
    assert brief["ContainerUsage"]["Items"] is None
    assert brief["ImageUsage"]["TotalSize"] > 1_000_000
    full = api.get("/system/df", verbose=1, type="container").ok().json()
    assert set(full) == {"ContainerUsage"}
    assert full["ContainerUsage"]["Items"][0]["Id"] == created
    images = api.get("/images/json").ok().json()
    (image,) = (x for x in images if "busybox:latest" in (x["RepoTags"] or ()))
    assert image["Containers"] == 1
    old = api.at("1.41").get("/system/df").ok().json()
    assert {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"} <= set(old)
    assert api.get("/system/df", type="galaxy").status == 400
    daemon.clean()


def test_runtimes_say_what_they_can_do_since_1_44(api: Api) -> None:
    shown = api.get("/info").ok().json()["Runtimes"]["runc"]
    features = json.loads(shown["status"]["org.opencontainers.runtime-spec.features"])
    assert "seccomp" in features["linux"]
    assert "\n" not in shown["status"]["org.opencontainers.runtime-spec.features"]
    assert "status" not in api.at("1.43").get("/info").ok().json()["Runtimes"]["runc"]
