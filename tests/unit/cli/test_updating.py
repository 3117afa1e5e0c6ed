"""``moor update``: from what a container has, and the flags, to the lists that are sent."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.cli import updating
from moorage.cli.commands.container.update import COMMAND
from moorage.cli.failure import CommandError
from moorage.cli.options import Values

BINDINGS = {
    "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
    "53/udp": [{"HostIp": "", "HostPort": ""}],
}
MOUNT = {"Type": "tmpfs", "Target": "/t"}


def changes(*flags: tuple[str, str], **shown: Any) -> Any:
    values = Values(COMMAND.options)
    for name, text in flags:
        values.add(next(o for o in COMMAND.options if o.name == name), text)
    host = {"PortBindings": BINDINGS, "Binds": ["vol:/v:ro", "/h:/h"], "Mounts": [MOUNT]}
    return updating.changes(
        {"HostConfig": host, "Config": {"Env": ["A=1", "B=2"]}, **shown}, values
    )


@pytest.mark.parametrize(
    ("flags", "port", "left"),
    [
        ([("publish-rm", "80")], "80/tcp", None),
        ([("publish-rm", "8080:80")], "80/tcp", ["8081"]),
        ([("publish-rm", "127.0.0.1:8081:80/tcp")], "80/tcp", ["8080"]),
        ([("publish-rm", "53/udp")], "53/udp", None),
        ([("publish", "8080:80")], "80/tcp", ["8080", "8081"]),
        ([("publish", "8082:80")], "80/tcp", ["8080", "8081", "8082"]),
        ([("publish-rm", "80"), ("publish", "9:80")], "80/tcp", ["9"]),
        ([("publish", "90")], "90/tcp", [""]),
    ],
)
def test_ports(flags: list[tuple[str, str]], port: str, left: list[str] | None) -> None:
    body = changes(*flags)
    assert set(body) == {"PortBindings"}
    found = body["PortBindings"].get(port)
    assert (found and [b["HostPort"] for b in found]) == left


@pytest.mark.parametrize("spec", ["81", "9:80", "80/udp", "127.0.0.2:8081:80"])
def test_what_is_not_published_cannot_be_taken_away(spec: str) -> None:
    with pytest.raises(CommandError, match="no such port is published"):
        changes(("publish-rm", spec))


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "x")
    monkeypatch.delenv("B", raising=False)
    flags = [("env", "A=new"), ("env", "HERE"), ("env", "B"), ("env-rm", "NONE")]
    assert changes(*flags) == {"Env": ["A=new", "HERE=x"]}
    pending = {"Env": ["P=1"]}
    assert changes(("env", "Q=2"), PendingUpdate=pending) == {"Env": ["P=1", "Q=2"]}
    with pytest.raises(CommandError, match="invalid environment variable"):
        changes(("env", "=x"))


def test_mounts() -> None:
    assert changes(("mount-rm", "/v/")) == {"Binds": ["/h:/h"], "Mounts": [MOUNT]}
    assert changes(("volume", "new:/t")) == {
        "Binds": ["vol:/v:ro", "/h:/h", "new:/t"],
        "Mounts": [],
    }
    assert changes(("volume", "/v")) == {
        "Binds": ["/h:/h"],
        "Mounts": [MOUNT, {"Type": "volume", "Target": "/v"}],
    }
    body = changes(("mount", "type=bind,src=/x,dst=/h"), PendingUpdate={"Binds": ["/h:/h"]})
    assert body == {
        "Binds": [],
        "Mounts": [MOUNT, {"Type": "bind", "Source": "/x", "Target": "/h"}],
    }
    with pytest.raises(CommandError, match="no mount that could be taken away: /none"):
        changes(("mount-rm", "/none"))
