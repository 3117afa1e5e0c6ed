"""Authorisation plugins see exactly what is executed, and their no is final."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, temporary
from support.plugin import Plugin

pytestmark = pytest.mark.requires("root")


def policy(method: str, request: dict[str, Any]) -> dict[str, Any]:
    """Deny the creation of containers that want to be privileged; allow everything else."""
    if method == "AuthZPlugin.AuthZReq" and "/containers/create" in request["RequestUri"]:
        body = json.loads(base64.b64decode(request.get("RequestBody", "")) or b"{}")
        if (body.get("HostConfig") or {}).get("Privileged"):
            return {"Allow": False, "Msg": "no privileged containers"}
    return {"Allow": True}


@pytest.fixture(scope="module")
def plugin() -> Iterator[Plugin]:
    with Plugin(f"moorage-test-{secrets.token_hex(4)}", ["authz"], policy) as plugin:
        yield plugin


@pytest.fixture(scope="module")
def guarded_daemon(kit_root: Path, plugin: Plugin) -> Iterator[Daemon]:
    with temporary(kit_root, config={"authorization-plugins": [plugin.name]}) as daemon:
        yield daemon.start()


@pytest.fixture
def guarded(guarded_daemon: Daemon, plugin: Plugin) -> Daemon:
    plugin.calls.clear()
    return guarded_daemon


def test_a1_what_the_plugin_denies_is_not_executed(guarded: Daemon, plugin: Plugin) -> None:
    denial = f"authorization denied by plugin {plugin.name}: no privileged containers"
    privileged = {"Image": "x", "HostConfig": {"Privileged": True}}
    response = guarded.api.post("/containers/create", privileged)
    assert (response.status, response.message) == (403, denial)
    allowed = guarded.api.post("/containers/create", {"Image": "x"})
    assert (allowed.status, allowed.message) == (404, "No such image: x:latest")

    # CVE-2024-41110: no length, or a length of zero with a body behind it.
    text = json.dumps(privileged).encode()
    chunked = (
        b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)
    )
    assert b"HTTP/1.1 403" in guarded.api.exchange(chunked)
    nothing = chunked.replace(b"Transfer-Encoding: chunked", b"Content-Length: 0")
    assert b"HTTP/1.1 403" not in guarded.api.exchange(nothing)
    assert guarded.api.get("/containers/json", all=True).json() == []

    # The path is decoded before the plugin sees it, and in one form only.
    spelled = guarded.api.exchange(chunked.replace(b"/v1.41/containers", b"/v1.41/%63ontainers"))
    assert b"HTTP/1.1 403" in spelled
    for path in (b"//containers", b"/x/../containers", b"/x/%2e%2e/containers", b"/./containers"):
        odd = guarded.api.exchange(chunked.replace(b"/v1.41/containers", path))
        assert b"HTTP/1.1 400" in odd
    assert guarded.api.get("/containers/json", all=True).json() == []


@pytest.mark.parametrize(
    "body",
    [
        '{"Image":"x","hostconfig":{"privileged":true}}',
        '{"Image":"x","HostConfig":{"Privileged":false},"hostConfig":{"Privileged":true}}',
        '{"Image":"x","HostConfig":{"Privileged":false,"PRIVILEGED":true}}',
        '{"Image":"x","HostConfig":{"Privileged":false},"HostConfig":{"Privileged":true}}',
        '{"Image":"x","HostConfig":{"Privileged":false,"Privileged":true}}',
        '\ufeff{"Image":"x","HostConfig":{"Privileged":true}}',
        '{"Image":"x","HostConfig":{"Privileged":true}}{"HostConfig":{"Privileged":false}}',
        '{"Image":"x","HostConfig":{"\\u0050rivileged":true}}',
    ],
)
def test_a1_a_body_is_shown_as_it_is_executed(guarded: Daemon, body: str) -> None:
    """Go's decoder, and so ours, takes keys without regard to case; policies do not."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    response = guarded.api.request("POST", "/containers/create", body.encode(), headers=headers)
    assert response.status in {400, 403}, response.body
    assert "No such image" not in response.message


def test_a1_an_upgrade_to_another_protocol_is_not_taken(guarded: Daemon) -> None:
    """HTTP/2 with prior knowledge, or asked for: what a plugin sees is HTTP/1.1 alone."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    assert guarded.api.exchange(preface).startswith(b"HTTP/1.1 400")
    asked = (
        b"GET /v1.44/_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    )
    assert guarded.api.exchange(asked).startswith(b"HTTP/1.1 200")


def test_a9_a_volume_that_is_a_bind_of_the_host_is_shown_whole(
    guarded: Daemon, plugin: Plugin
) -> None:
    """moby#45451: what a policy forbids as a bind it can forbid as a volume."""
    options = {"type": "none", "o": "bind", "device": "/"}
    mount = {
        "Type": "volume",
        "Target": "/x",
        "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": options}},
    }
    guarded.api.post("/volumes/create", {"Name": "a9", "driveropts": options}).ok(201)
    guarded.api.post("/containers/create", {"Image": "x", "HostConfig": {"mounts": [mount]}})
    shown = [
        json.loads(base64.b64decode(x["RequestBody"]))
        for x in plugin.called("AuthZPlugin.AuthZReq")
    ]
    assert shown[0]["DriverOpts"] == options
    given = shown[1]["HostConfig"]["Mounts"][0]["VolumeOptions"]["DriverConfig"]
    assert given["Options"] == options
    guarded.api.delete("/volumes/a9").ok(204)


def test_a1_a_json_body_over_the_limit_is_refused_not_skipped(
    guarded: Daemon, plugin: Plugin
) -> None:
    """CVE-2026-34040: padding a body beyond what is shown must not get it past the plugin."""
    padded = {"HostConfig": {"Privileged": True}, "Labels": {"pad": "x" * (5 << 20)}}
    response = guarded.api.post("/containers/create", padded)
    assert response.status == 413
    assert plugin.called("AuthZPlugin.AuthZReq") == []


@pytest.mark.parametrize("declared", ["text/plain", "application/jsonx", "text/json", ""])
def test_a1_a_body_that_is_not_said_to_be_json_is_not_executed(
    guarded: Daemon, declared: str
) -> None:
    """It is not shown either."""
    body = json.dumps({"Image": "x", "HostConfig": {"Privileged": True}}).encode()
    line = f"Content-Type: {declared}\r\n" if declared else ""
    framings = (
        (f"Content-Length: {len(body)}", body),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
    )
    for framing, framed in framings:
        head = f"POST /v1.44/containers/create HTTP/1.1\r\nHost: d\r\n{line}{framing}\r\n\r\n"
        answer = guarded.api.exchange(head.encode() + framed)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"unsupported Content-Type header" in answer


def test_answers_are_shown_and_secrets_are_not(guarded: Daemon, plugin: Plugin) -> None:
    guarded.api.request("GET", "/info", headers={"X-Registry-Auth": "c2VjcmV0"}).ok()
    (asked,) = plugin.called("AuthZPlugin.AuthZReq")
    assert asked["RequestUri"] == "/v1.55/info"
    assert "x-registry-auth" not in asked["RequestHeaders"]
    (answered,) = plugin.called("AuthZPlugin.AuthZRes")
    assert answered["ResponseStatusCode"] == 200
    assert "ServerVersion" in json.loads(base64.b64decode(answered["ResponseBody"]))


def test_a1_a_plugin_that_is_gone_denies(make_daemon: Callable[..., Daemon]) -> None:
    name = f"moorage-test-{secrets.token_hex(4)}"
    with Plugin(name, ["authz"], policy):
        daemon = make_daemon(config={"authorization-plugins": [name]}).start()
        daemon.api.get("/info").ok()
    response = daemon.api.get("/info")
    assert response.status == 500
    assert f"plugin {name} failed with error" in response.message
