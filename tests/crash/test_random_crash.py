"""The daemon killed at any moment under a load of clients: the next one finds all in order."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import pytest

from support import containers as c
from support import images, leaks
from support.api import Api
from support.daemon import Daemon

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(180)]
MakeDaemon = Callable[..., Daemon]

CLIENTS = 4
NAMES = [f"box{n}" for n in range(5)]  # few, so that clients meet on them
NETWORKS = ["inner", "outer"]


def seeded(seed: float) -> random.Random:
    """Return dice that fall the same way for the same *seed*."""
    return random.Random(seed)  # noqa: S311 - not for secrets


def create(api: Api, dice: random.Random, name: str) -> set[str]:
    """Create it as one of the many kinds there are; return its id."""
    host = {
        "NetworkMode": dice.choice(["none", "bridge", *NETWORKS]),
        "AutoRemove": dice.random() < 0.2,
        "Binds": dice.choice([[], ["data:/data"]]),
        "Init": dice.random() < 0.2,
    }
    if not host["AutoRemove"]:
        host["RestartPolicy"] = {"Name": dice.choice(["no", "no", "always", "on-failure"])}
    command = dice.choice(["sleep 1000", "sleep 0.2", "sleep 0.1; exit 3", "cat /dev/zero | true"])
    body = {"Image": "busybox", "Cmd": ["sh", "-c", command], "HostConfig": host}
    if dice.random() < 0.3:
        body["Volumes"] = {"/anonymous": {}}
    if dice.random() < 0.3:
        body["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 50_000_000}
    made = api.request("POST", "/containers/create", body, query={"name": name}, timeout=20)
    return {made.json()["Id"]} if made.status == 201 else set()


def run_in(api: Api, dice: random.Random, name: str) -> None:
    """Execute something in it, attached or not."""
    command = dice.choice([["true"], ["sleep", "0.3"], ["sleep", "1000"]])
    made = api.post(f"/containers/{name}/exec", {"Cmd": command, "AttachStdout": True})
    if made.status == 201:
        body = {"Detach": dice.random() < 0.8 or command[-1] == "1000"}
        api.request("POST", f"/exec/{made.json()['Id']}/start", body, timeout=20)


def act(api: Api, dice: random.Random, ids: set[str]) -> None:
    """Do one thing that a user may do; it may well be refused. *ids* gets what it makes."""
    name = dice.choice(NAMES)
    network = dice.choice(NETWORKS)
    member = {"Container": name, "Force": True}
    deeds: list[tuple[int, Callable[[], object]]] = [
        (6, lambda: ids.update(create(api, dice, name))),
        (8, lambda: api.post(f"/containers/{name}/start")),
        (5, lambda: run_in(api, dice, name)),
        (3, lambda: api.post(f"/containers/{name}/stop", t=0)),
        (2, lambda: api.post(f"/containers/{name}/kill")),
        (2, lambda: api.post(f"/containers/{name}/restart", t=0)),
        (4, lambda: api.delete(f"/containers/{name}", force=True, v=dice.random() < 0.5)),
        (2, lambda: api.post(f"/containers/{name}/rename", name=dice.choice(NAMES))),
        (2, lambda: api.post(f"/containers/{name}/pause")),
        (2, lambda: api.post(f"/containers/{name}/unpause")),
        (4, lambda: api.post(f"/networks/{network}/connect", member)),
        (3, lambda: api.post(f"/networks/{network}/disconnect", member)),
        (2, lambda: api.post("/networks/create", {"Name": network})),
        (1, lambda: api.delete(f"/networks/{network}")),
        (1, lambda: api.post("/containers/prune")),
        (1, lambda: api.post("/volumes/prune")),
    ]
    dice.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0]()


def client(api: Api, dice: random.Random, ids: set[str], over: threading.Event) -> None:
    """Act until the daemon is gone."""
    while not over.is_set():
        try:
            act(api, dice, ids)
        except (OSError, HTTPException):
            continue


def ordeal(daemon: Daemon, dice: random.Random) -> set[str]:
    """One life of the daemon under load, its sudden death, and the next one's start.

    Returns: the ids of what was made.
    """
    ids: set[str] = set()
    over = threading.Event()
    clients = [
        threading.Thread(target=client, args=(daemon.api, seeded(dice.random()), ids, over))
        for _ in range(CLIENTS)
    ]
    for each in clients:
        each.start()
    over.wait(dice.uniform(0.05, 1.2))
    daemon.kill()
    over.set()
    for each in clients:
        each.join(60)
        assert not each.is_alive()
    daemon.start()
    return ids


def list_all(api: Api) -> list[Any]:
    """Return what is listed."""
    found: list[Any] = api.get("/containers/json", all=True).ok().json()
    return found


def directories(daemon: Daemon) -> set[str]:
    """Return the ids of the containers that have files."""
    top = daemon.data_root / "containers"
    return set(os.listdir(top)) if top.is_dir() else set()


def demand_order(daemon: Daemon) -> None:
    """What is listed is whole, and what is not listed is not there."""
    api = daemon.api
    c.until(lambda: directories(daemon) == {x["Id"] for x in list_all(api)})  # --rm goes on
    listed = {x["Id"]: x for x in list_all(api)}
    assert all(len(x["Names"]) == 1 for x in listed.values())
    assert len({x["Names"][0] for x in listed.values()}) == len(listed)
    for container_id, seen in listed.items():
        if seen["State"] == "running" and "sleep 1000" in seen["Command"]:
            done = c.exec_(api, container_id, "true")
            assert done == (0, ""), done
    for network in api.get("/networks").ok().json():
        members = api.get(f"/networks/{network['Id']}").ok().json()["Containers"]
        assert set(members) <= set(listed), network["Name"]


@pytest.mark.parametrize("seed", [1, 4])
def test_a_daemon_killed_at_any_moment_leaves_nothing_half_done(
    make_daemon: MakeDaemon, seed: int
) -> None:
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    dice = seeded(seed)
    api = daemon.api
    ids = daemon.marks()
    before = leaks.take(daemon.root, ids)
    for _ in range(8):
        ids |= ordeal(daemon, dice)
        demand_order(daemon)
        ids |= daemon.marks()
    for name in [x["Names"][0][1:] for x in list_all(api)]:
        api.delete(f"/containers/{name}", force=True, v=True).ok(204, 404)
    c.until(lambda: list_all(api) == [])
    for network in NETWORKS:
        api.delete(f"/networks/{network}").ok(204, 404)
    api.post("/volumes/prune", filters={"all": ["true"]}).ok()
    assert directories(daemon) == set()
    volumes = api.get("/volumes").ok().json()["Volumes"]
    assert [v for v in volumes if v["Driver"] == "local"] == []  # a plugin of the host may have any
    # the kernel frees dozens of namespaces, one after the other
    leaks.assert_none(before, daemon.root, ids, alive=True, settle_s=40)
    assert c.ask(api, "echo", "fine", host={"NetworkMode": "bridge"}) == "fine"
