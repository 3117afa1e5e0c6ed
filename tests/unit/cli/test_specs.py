"""The little languages of flag values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moorage.cli import references
from moorage.cli.failure import CommandError
from moorage.cli.specs import devices, environment, mounts, networks, ports


def published(spec: str) -> dict[str, list[tuple[str, str]]]:
    bindings: ports.Bindings = {}
    ports.publish(spec, bindings)
    return {
        key: [(entry["HostIp"], entry["HostPort"]) for entry in entries]
        for key, entries in bindings.items()
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("80", {"80/tcp": [("", "")]}),
        ("8080:80", {"80/tcp": [("", "8080")]}),
        ("127.0.0.1:53:53/udp", {"53/udp": [("127.0.0.1", "53")]}),
        ("127.0.0.1::80", {"80/tcp": [("127.0.0.1", "")]}),
        ("[::1]:80:80", {"80/tcp": [("::1", "80")]}),
        ("8000-8001:80-81", {"80/tcp": [("", "8000")], "81/tcp": [("", "8001")]}),
        ("8000-8010:80", {"80/tcp": [("", "8000-8010")]}),
        ("80-81/sctp", {"80/sctp": [("", "")], "81/sctp": [("", "")]}),
        ("target=80,published=8080,protocol=udp,mode=host", {"80/udp": [("", "8080")]}),
    ],
)
def test_published_ports(spec: str, expected: dict[str, list[tuple[str, str]]]) -> None:
    assert published(spec) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("99999:1", "invalid hostPort: 99999"),
        ("1:99999", "invalid containerPort: 99999"),
        ("80:81/foo", "invalid proto: foo"),
        ("300.1.1.1:80:80", "invalid IP address: 300.1.1.1"),
        ("8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8"),
        ("80:", "no port specified: 80:<empty>"),
        ("9-8", "invalid containerPort: 9-8: the range ends before it begins"),
        ("target=80,foo=1", "invalid field key foo"),
    ],
)
def test_ports_that_cannot_be(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[")):
        published(spec)


def test_exposed_ports() -> None:
    assert ports.expose("80-82/udp") == ["80/udp", "81/udp", "82/udp"]
    with pytest.raises(ValueError, match="invalid port format for --expose: 1:2"):
        ports.expose("1:2")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "type=bind,src=/a,dst=/b,ro",
            {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True},
        ),
        ("source=v,target=/b", {"Type": "volume", "Source": "v", "Target": "/b"}),
        (
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
            {
                "Type": "tmpfs",
                "Target": "/t",
                "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
            },
        ),
        (
            "type=bind,src=/a,dst=/b,ro,bind-propagation=rprivate,bind-recursive=readonly",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/b",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate", "ReadOnlyForceRecursive": True},
            },
        ),
        (
            'src=v,dst=/b,volume-nocopy,volume-driver=local,"volume-opt=o=a,b",volume-label=x=y,volume-subpath=s',
            {
                "Type": "volume",
                "Source": "v",
                "Target": "/b",
                "VolumeOptions": {
                    "NoCopy": True,
                    "Subpath": "s",
                    "Labels": {"x": "y"},
                    "DriverConfig": {"Name": "local", "Options": {"o": "a,b"}},
                },
            },
        ),
        (
            "type=image,src=i,dst=/i,image-subpath=etc",
            {"Type": "image", "Source": "i", "Target": "/i", "ImageOptions": {"Subpath": "etc"}},
        ),
    ],
)
def test_mounts(spec: str, expected: dict[str, Any]) -> None:
    assert mounts.mount(spec) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("type=bind,src=/a", "target is required"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("dst=/a,foo=b", "unexpected key 'foo' in 'foo=b'"),
        (
            "type=tmpfs,dst=/a,volume-nocopy",
            "cannot mix 'volume-\\*' options with mount type 'tmpfs'",
        ),
        ("dst=/a,readonly=maybe", "invalid value for readonly: maybe"),
        ("type=bind,src=/a,dst=/b,bind-recursive=x", "invalid value for bind-recursive: x"),
        ("type=bind,src=/a,dst=/b,bind-recursive=writable", "requires 'readonly'"),
        ("type=bind,src=/a,dst=/b,bind-recursive=readonly", "requires 'readonly'"),
        (
            "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly",
            "requires 'bind-propagation=rprivate'",
        ),
        ("dst=/a,bind-x=1", "unexpected key 'bind-x' in 'bind-x=1'"),
        ("dst=/a,volume-x=1", "unexpected key 'volume-x' in 'volume-x=1'"),
        ("dst=/a, src=b", "unexpected key ' src' in ' src=b'"),
        ("", "EOF"),
    ],
)
def test_mounts_that_cannot_be(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mounts.mount(spec)


def test_volumes_and_tmpfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mounts.volume("/data") == ("", "/data")
    assert mounts.volume("v:/data:ro") == ("v:/data:ro", "")
    assert mounts.volume("./x:/data") == (f"{tmp_path}/x:/data", "")
    with pytest.raises(ValueError, match="invalid empty volume spec"):
        mounts.volume("")
    with pytest.raises(ValueError, match="invalid spec: :/t: empty section between colons"):
        mounts.volume(":/t")
    assert mounts.tmpfs("/run:size=1m,ro") == ("/run", "size=1m,ro")


def test_networks() -> None:
    assert networks.network("web").target == "web"
    long = networks.network("name=web,alias=a,alias=b,ip=10.0.0.9,driver-opt=k=v,gw-priority=2")
    assert long.target == "web"
    assert long.user_defined
    assert long.endpoint == {
        "Aliases": ["a", "b"],
        "IPAMConfig": {"IPv4Address": "10.0.0.9"},
        "DriverOpts": {"k": "v"},
        "GwPriority": 2,
    }
    assert not networks.network("host").user_defined
    assert not networks.network("container:x").user_defined
    with pytest.raises(ValueError, match="invalid field key a:b"):
        networks.network("a:b=c")
    with pytest.raises(ValueError, match="network name/id is not specified"):
        networks.network("alias=a")


def test_environment(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "EMPTY": ""}
    assert environment.variable("A=b=c", environ) == "A=b=c"
    assert environment.variable("HOME", environ) == "HOME=/h"
    assert environment.variable("EMPTY", environ) == "EMPTY="
    assert environment.variable("NOPE", environ) == "NOPE"
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbf# comment\n\nA=1 \n  HOME\nNOPE\nB='x'\n")
    assert environment.file_lines(str(file), environ) == ["A=1 ", "HOME=/h", "B='x'"]
    file.write_text("A B=1\n")
    with pytest.raises(ValueError, match="variable 'A B' contains whitespaces"):
        environment.file_lines(str(file), environ)
    absent = str(tmp_path / "absent")
    with pytest.raises(ValueError, match=f"open {absent}: no such file or directory"):
        environment.file_lines(absent, environ)


def test_devices() -> None:
    assert devices.device("/dev/x") == {
        "PathOnHost": "/dev/x",
        "PathInContainer": "/dev/x",
        "CgroupPermissions": "rwm",
    }
    assert devices.device("/dev/x:r")["CgroupPermissions"] == "r"
    assert devices.device("/dev/x:/dev/y:rw")["PathInContainer"] == "/dev/y"
    assert devices.is_cdi("vendor.com/gpu=0")
    assert not devices.is_cdi("/dev/a=b")
    with pytest.raises(ValueError, match="bad mode specified: z"):
        devices.device("/dev/x:/dev/y:z")
    assert devices.ulimit("nofile=1:2") == {"Name": "nofile", "Soft": 1, "Hard": 2}
    with pytest.raises(ValueError, match="soft limit must be less than or equal to hard limit"):
        devices.ulimit("nofile=3:2")
    assert devices.byte_rate("/dev/x:1mb") == {"Path": "/dev/x", "Rate": 1 << 20}
    assert devices.gpus("all")["Count"] == -1
    request = devices.gpus('device=0,"capabilities=a,b"')
    assert request["DeviceIDs"] == ["0"]
    assert request["Capabilities"] == [["a", "b", "gpu"]]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nginx", ("nginx", "")),
        ("host:5000/app", ("host:5000/app", "")),
        ("host:5000/app:1", ("host:5000/app", "1")),
        ("app@sha256:aa", ("app", "sha256:aa")),
    ],
)
def test_names_are_split(name: str, parts: tuple[str, str]) -> None:
    assert references.split_tag(name) == parts


def test_a_name_with_two_tags_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid reference format"):
        references.split_tag("app:1:2")
