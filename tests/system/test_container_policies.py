"""Restart policies and health checks on real processes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support import containers as c
from support.api import Api

pytestmark = pytest.mark.requires("root", "overlayfs")
SECOND = 1_000_000_000


def policy(name: str, count: int = 0) -> dict[str, Any]:
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": count}}


def test_on_failure_tries_so_often_and_no_more(api: Api) -> None:
    since = time.time()
    container_id = c.run(api, "sh", "-c", "exit 3", host=policy("on-failure", 2))
    c.until(lambda: c.inspect(api, container_id)["RestartCount"] == 2)
    c.until(lambda: c.state(api, container_id)["Status"] == "exited")
    assert c.state(api, container_id)["ExitCode"] == 3
    events = [e["Action"] for e in api.events(since) if e["Actor"]["ID"] == container_id]
    assert (events.count("start"), events.count("die")) == (3, 3)


def test_always_starts_again_until_it_is_stopped(api: Api) -> None:
    container_id = c.run(api, "true", host=policy("always"))
    c.until(lambda: c.inspect(api, container_id)["RestartCount"] >= 2)
    c.until(lambda: c.state(api, container_id)["Status"] == "restarting")
    state = c.state(api, container_id)
    assert (state["Running"], state["Restarting"], state["Pid"]) == (True, True, 0)
    assert api.post(f"/containers/{container_id}/exec", {"Cmd": ["true"]}).status == 409
    api.post(f"/containers/{container_id}/stop", t=1).ok(204)
    stopped = c.state(api, container_id)
    assert (stopped["Status"], stopped["Restarting"]) == ("exited", False)
    count = c.inspect(api, container_id)["RestartCount"]
    time.sleep(0.5)
    assert c.inspect(api, container_id)["RestartCount"] == count


def test_a_kill_by_the_user_is_no_failure(api: Api) -> None:
    container_id = c.sleeper(api, host=policy("always"))
    api.post(f"/containers/{container_id}/kill").ok()
    assert c.wait(api, container_id) == 137
    time.sleep(0.3)
    assert c.state(api, container_id)["Status"] == "exited"
    api.post(f"/containers/{container_id}/start").ok(204)
    assert c.inspect(api, container_id)["RestartCount"] == 0


def test_a_restarting_container_can_be_removed_by_force(api: Api) -> None:
    container_id = c.run(api, "false", host=policy("always"))
    c.until(lambda: c.state(api, container_id)["Status"] == "restarting")
    assert api.delete(f"/containers/{container_id}").status == 409
    api.delete(f"/containers/{container_id}", force=True).ok(204)


def check(*test: str, **fields: int) -> dict[str, Any]:
    return {"Test": list(test), "Interval": SECOND // 5, "Timeout": SECOND, **fields}


def test_health_goes_up_and_down(api: Api) -> None:
    since = time.time()
    probe = check("CMD-SHELL", "echo probed; test -e /ok", Retries=2)
    container_id = c.sleeper(api, Healthcheck=probe)

    def status() -> str:
        found: str = c.state(api, container_id)["Health"]["Status"]
        return found

    assert status() == "starting"
    c.until(lambda: status() == "unhealthy")
    health = c.state(api, container_id)["Health"]
    assert health["FailingStreak"] >= 2
    assert (health["Log"][-1]["ExitCode"], health["Log"][-1]["Output"]) == (1, "probed\n")
    (entry,) = api.get("/containers/json").ok().json()
    assert entry["Status"].endswith("(unhealthy)")
    assert entry["Health"]["Status"] == "unhealthy"
    c.exec_(api, container_id, "touch", "/ok")
    c.until(lambda: status() == "healthy")
    found = [e["Action"] for e in api.events(since) if e["Action"].startswith("health")]
    assert found == ["health_status: unhealthy", "health_status: healthy"]


def test_a_container_that_has_ended_is_not_healthy(api: Api) -> None:
    """Docker's word for it, whatever it was before, and no event of it: nobody has probed."""
    since = time.time()
    container_id = c.sleeper(
        api, Healthcheck=check("CMD", "true", Retries=3) | {"Interval": 3600 * SECOND}
    )
    assert c.state(api, container_id)["Health"]["Status"] == "starting"
    api.post(f"/containers/{container_id}/kill").ok(204)
    c.wait(api, container_id)
    assert c.state(api, container_id)["Health"]["Status"] == "unhealthy"
    assert not [e for e in api.events(since) if e["Action"].startswith("health_status")]


def test_a_probe_that_hangs_is_ended_and_counts_as_failure(api: Api) -> None:
    probe = check("CMD", "sleep", "1000", Retries=1) | {"Timeout": SECOND // 4}
    container_id = c.sleeper(api, Healthcheck=probe)
    c.until(lambda: c.state(api, container_id)["Health"]["Status"] == "unhealthy")
    answer = c.state(api, container_id)["Health"]["Log"][-1]
    assert answer["ExitCode"] == -1
    assert "exceeded timeout" in answer["Output"]
    script = "ps | grep -c '[s]leep 1000'"
    c.until(lambda: int(c.exec_(api, container_id, "sh", "-c", script)[1]) <= 1)


def test_an_unhealthy_container_is_restarted_if_it_asks_for_it(api: Api) -> None:
    probe = check("CMD", "false", Retries=1)
    host = {"Annotations": {"moorage.health-on-failure": "restart"}}
    container_id = c.sleeper(api, Healthcheck=probe, host=host)
    before = c.state(api, container_id)["StartedAt"]
    c.until(lambda: c.state(api, container_id)["StartedAt"] > before)


def test_a_check_can_be_switched_off(api: Api) -> None:
    container_id = c.sleeper(api, Healthcheck={"Test": ["NONE"]})
    assert "Health" not in c.state(api, container_id)


def test_a_restart_does_not_remove_a_container_with_rm(api: Api) -> None:
    container_id = c.sleeper(api, host={"AutoRemove": True})
    for _ in range(2):
        api.post(f"/containers/{container_id}/restart", t=1).ok(204)
    assert c.state(api, container_id)["Status"] == "running"
    api.post(f"/containers/{container_id}/stop", t=1).ok(204)
    c.until(lambda: api.get(f"/containers/{container_id}/json").status == 404)
