"""Devices by CDI on the real kernel: a made-up vendor's files, run, exec, build, restart."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support import images
from support.api import Api
from support.builds import Project
from support.cli import Cli
from support.daemon import BIN, Daemon, temporary

pytestmark = pytest.mark.requires("root", "overlayfs")

ONE = "vendor.com/device=one"
HOOK = "#!/bin/sh\n{ env; id -u; cat; echo; } >> %s\n"


class Vendor:
    """Files of a vendor on the host, and a daemon that reads them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.rmtree(root)
        root.mkdir(mode=0o755)
        self.specs = root / "cdi"
        self.specs.mkdir(mode=0o755)
        self.seen = root / "seen"  # what the hook was given
        self.program = root / "hook"
        self.program.write_text(HOOK % self.seen)
        self.program.chmod(0o755)
        (root / "library").write_text("a library of the vendor\n")

    def edits(self, **more: Any) -> dict[str, Any]:
        return {
            "env": ["VENDOR=one"],
            "deviceNodes": [{"path": "/dev/vendor0", "hostPath": "/dev/full", "permissions": "rw"}],
            "mounts": [
                {
                    "hostPath": str(self.root / "library"),
                    "containerPath": "/usr/lib/vendor/library",
                    "options": ["ro", "nosuid", "bind"],
                }
            ],
            "additionalGids": [4711],
            **more,
        }

    def hook(self, name: str) -> dict[str, Any]:
        return {"hookName": name, "path": str(self.program), "args": ["hook"]}

    def put(self, *devices: tuple[str, dict[str, Any]], file: str = "x.json", **more: Any) -> Path:
        given = [{"name": name, "containerEdits": edits} for name, edits in devices]
        document = {"cdiVersion": "1.0.0", "kind": "vendor.com/device", "devices": given, **more}
        path = self.specs / file
        path.write_text(json.dumps(document))
        path.chmod(0o644)
        return path


def asked(*names: str) -> dict[str, Any]:
    return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": list(names)}]}


@pytest.fixture(scope="module")
def vendors_root(kit_root: Path) -> Path:
    root = kit_root / "vendor"
    root.mkdir()
    return root


@pytest.fixture
def vendor(vendors_root: Path) -> Vendor:
    """A vendor that has installed nothing yet."""
    return Vendor(vendors_root)


@pytest.fixture(scope="module")
def shared_daemon(vendors_root: Path, kit_root: Path) -> Iterator[Daemon]:
    """A daemon that looks into the vendor's directory alone."""
    with temporary(kit_root, flags=["--cdi-spec-dir", str(vendors_root / "cdi")]) as daemon:
        daemon.start().load(images.busybox())
        yield daemon


def test_a_device_is_a_node_an_environment_a_mount_a_group_and_a_hook(
    api: Api, vendor: Vendor
) -> None:
    vendor.put(
        ("one", vendor.edits(hooks=[vendor.hook("createRuntime")])),
        containerEdits={"env": ["ANY=yes"]},
    )
    script = (
        "echo $VENDOR $ANY; id -G; stat -c '%F %t:%T %u' /dev/vendor0; cat /usr/lib/vendor/library;"
        "{ echo > /usr/lib/vendor/library; } 2>/dev/null || echo readonly;"
        "{ echo x > /dev/vendor0; } 2>/dev/null || echo full; head -c 1 /dev/vendor0 | wc -c"
    )
    said = c.ask(api, "sh", "-c", script, host=asked(ONE), User="1000:1000").splitlines()
    assert said == [
        "one yes",
        "1000 4711",
        "character special file 1:7 1000",
        "a library of the vendor",
        *("readonly", "full", "1"),
    ]
    assert '"status":"created"' in vendor.seen.read_text().replace(" ", "")


def test_the_cgroup_keeps_out_who_has_not_asked(api: Api, vendor: Vendor) -> None:
    vendor.put(
        ("ro", {"deviceNodes": [{"path": "/dev/v", "hostPath": "/dev/loop7", "permissions": "r"}]})
    )
    number = os.stat("/dev/loop7").st_rdev
    host = asked("vendor.com/device=ro")
    write = "{ : > /dev/v; } 2>&1 | grep -o 'not permitted'; : < /dev/v && echo read"
    assert c.ask(api, "sh", "-c", write, host=host).split("\n") == ["not permitted", "read"]
    make = f"mknod /x b {os.major(number)} {os.minor(number)}; : < /x"
    said = c.run(api, "sh", "-c", make)
    assert c.wait(api, said) != 0
    assert "not permitted" in c.output(api, said)


def test_inspect_info_and_the_clients(
    daemon: Daemon, vendor: Vendor, docker: Cli, moor: Cli
) -> None:
    vendor.put(("one", vendor.edits()), ("two", {"env": ["TWO=2"]}))
    for client in (docker, moor):
        flags = ["--device", ONE, "--device", "vendor.com/device=two", "--network", "none"]
        said = client("run", "--name", "vended", *flags, "busybox", "sh", "-c", "echo $VENDOR $TWO")
        assert said == "one 2"
        host = json.loads(client("inspect", "vended"))[0]["HostConfig"]
        (request,) = host["DeviceRequests"]
        assert (request["Driver"], request["DeviceIDs"]) == (
            *("cdi",),
            [ONE, "vendor.com/device=two"],
        )
        client("rm", "vended")
    info = daemon.api.get("/info").ok().json()
    assert info["CDISpecDirs"] == [str(vendor.specs)]
    names = ["vendor.com/device=one", "vendor.com/device=two"]
    assert info["DiscoveredDevices"] == [{"Source": "cdi", "ID": name} for name in names]
    assert f"cdi: {ONE}" in moor("info")
    old = daemon.api.at("1.49").get("/info").ok().json()
    assert "DiscoveredDevices" not in old
    vendor.put(("one", {}), file="bad.json")
    warnings = daemon.api.get("/info").ok().json()["Warnings"]
    wanted = f"CDI: Error associated with spec file {vendor.specs}/bad.json: "
    assert [w for w in warnings if w.startswith(wanted) and "empty container edits" in w]


def test_gpus_are_those_of_the_vendors_file(docker: Cli, vendor: Vendor) -> None:
    run = ["run", "--rm", "--network", "none", "--gpus"]
    show = ["busybox", "sh", "-c", "echo $GPU"]
    refused = docker.run(*run, "all", *show)
    wanted = 'could not select device driver "" with capabilities: [[gpu]]'
    assert (refused.code, wanted in refused.err) == (125, True)
    devices = [(name, {"env": [f"GPU={name}"]}) for name in ("0", "GPU-4711", "all")]
    vendor.put(*devices, kind="nvidia.com/gpu")
    assert docker(*run, "all", *show) == "all"
    assert docker(*run, "1", *show) == "0"
    assert docker(*run, "device=GPU-4711", *show) == "GPU-4711"
    missing = docker.run(*run, "2", *show)
    unresolved = "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=1"
    assert (missing.code, unresolved in missing.err) == (125, True)


@pytest.mark.requires("docker-compose")
def test_compose_reserves_devices(daemon: Daemon, vendor: Vendor, tmp_path: Path) -> None:
    vendor.put(("all", {"env": ["GPU=reserved"]}), kind="nvidia.com/gpu")
    (tmp_path / "compose.yaml").write_text(
        "services:\n  s:\n    image: busybox\n    network_mode: none\n"
        "    command: [sh, -c, 'echo $$GPU']\n"
        "    deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: all}]}}}\n"
    )
    compose = Cli("docker-compose", daemon.socket, tmp_path)
    said = compose.run("-f", tmp_path / "compose.yaml", "-p", "v", "up", timeout=59).ok()
    assert "reserved" in said.out
    compose("-f", tmp_path / "compose.yaml", "-p", "v", "down", timeout=59)


@pytest.mark.parametrize("runtime", ["crun", "runc"])
@pytest.mark.parametrize(
    "point", ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
)
def test_r14_hooks_get_nothing_of_the_image(
    api: Api, vendor: Vendor, runtime: str, point: str
) -> None:
    """CVE-2025-23266: LD_PRELOAD of an image in a hook that root runs."""
    vendor.put(("one", {"hooks": [vendor.hook(point)]}))
    evil = {"LD_PRELOAD": "/proc/self/cwd/evil.so", "EVIL": "1"}
    host = {**asked(ONE), "Runtime": runtime}
    c.ask(api, "true", host=host, Env=[f"{k}={v}" for k, v in evil.items()])
    c.until(lambda: vendor.seen.exists() and "ociVersion" in vendor.seen.read_text())
    seen = vendor.seen.read_text()
    assert "PATH=/usr/local/sbin" in seen
    assert not [line for line in seen.splitlines() if line.partition("=")[0] in evil]


def test_a_hook_that_fails_fails_the_start_and_leaves_nothing(api: Api, vendor: Vendor) -> None:
    vendor.put(("one", {"hooks": [{"hookName": "createRuntime", "path": "/bin/false"}]}))
    container = c.create(api, host=asked(ONE))
    assert api.post(f"/containers/{container}/start").status == 500
    assert c.state(api, container)["Status"] == "created"
    assert c.state(api, container)["Error"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.put(("two", {"env": ["A=b"]})), ""),
        (lambda v: v.put(("one", v.edits())).chmod(0o666), "can be written by others than root"),
        (lambda v: os.chown(v.put(("one", v.edits())), 1000, 1000), "belongs to user 1000"),
        (lambda v: (v.put(("one", v.edits())), v.specs.chmod(0o777)), "can be written by others"),
        (lambda v: (v.put(("one", v.edits())), v.root.chmod(0o770)), "can be written by others"),
        (
            lambda v: (v.put(("one", v.edits())), v.put(("one", v.edits()), file="y.json")),
            "conflicting device",
        ),
        (lambda v: v.put(("one", {"env": ["=x"]})), "invalid environment variable"),
        (lambda v: (v.specs / "x.yaml").write_text("a: &a [1]\nb: *a\n"), "aliases are not taken"),
    ],
)
def test_r14_devices_of_files_that_cannot_be_trusted_are_not_given(
    api: Api, vendor: Vendor, change: Callable[[Vendor], object], said: str
) -> None:
    change(vendor)
    container = c.create(api, host=asked(ONE))
    failed = api.post(f"/containers/{container}/start")
    wanted = "CDI device injection failed: unresolvable CDI devices vendor.com/device=one"
    assert failed.status == 500
    assert wanted in failed.message
    assert said in failed.message


def test_r14_a_hook_that_others_can_write_is_not_run(api: Api, vendor: Vendor) -> None:
    vendor.put(("one", {"hooks": [vendor.hook("createRuntime")]}))
    vendor.program.chmod(0o777)
    container = c.create(api, host=asked(ONE))
    assert "can be written by others" in api.post(f"/containers/{container}/start").message
    assert not vendor.seen.exists()


def test_exec_and_the_daemons_restart_keep_the_device(daemon: Daemon, vendor: Vendor) -> None:
    vendor.put(("one", vendor.edits()))
    api = daemon.api
    container = c.sleeper(api, host=asked(ONE), User="1000:1000")
    daemon.restart(kill=True)
    look = ["sh", "-c", "id -G; stat -c %F /dev/vendor0; head -c 1 /dev/vendor0 | wc -c"]
    assert c.exec_(api, container, *look)[1].split("\n")[:3] == [
        *("1000 4711", "character special file", "1"),
    ]
    assert c.exec_(api, container, "id", "-G", User="7:7")[1].split() == ["7"]
    vendor.put(("one", {"env": ["VENDOR=changed"]}))
    api.post(f"/containers/{container}/restart", t=5).ok(204)
    c.until(lambda: c.output(api, container).count("up") == 2)
    code, said = c.exec_(api, container, "sh", "-c", "id -G; ls /dev/vendor0; cat /proc/1/environ")
    assert said.startswith("1000\n")
    assert "VENDOR=changed" in said
    assert "/dev/vendor0: No such file" in said
    assert code == 0


def test_it_can_be_switched_off_and_on(daemon: Daemon, vendor: Vendor) -> None:
    vendor.put(("one", vendor.edits()))
    daemon.configure({"features": {"cdi": False}})
    daemon.reload()
    info = daemon.api.get("/info").ok().json()
    assert (info["CDISpecDirs"], "DiscoveredDevices" in info) == ([], False)
    container = c.create(daemon.api, host=asked(ONE))
    wanted = 'could not select device driver "cdi" with capabilities: []'
    assert wanted in daemon.api.post(f"/containers/{container}/start").message
    daemon.configure({})
    daemon.reload()
    daemon.api.post(f"/containers/{container}/start").ok(204)


# --- builds ------------------------------------------------------------------------------------


@pytest.fixture
def project(daemon: Daemon, tmp_path: Path) -> Project:
    return Project(Cli(str(BIN / "moor"), daemon.socket, tmp_path), tmp_path)


LOOK = "echo $VENDOR > /out; stat -c %F /dev/vendor0 >> /out; cat /usr/lib/vendor/library >> /out"


def test_a_build_step_has_the_device_and_the_image_nothing_of_it(
    project: Project, vendor: Vendor
) -> None:
    vendor.put(("one", vendor.edits()))
    dockerfile = f"FROM busybox\nRUN --device={ONE},required {LOOK}\n"
    for allow in ("device", f"device={ONE}", "device=vendor.com/device"):
        tree = project.tree(dockerfile, "--allow", allow, "--no-cache")
        assert (tree / "out").read_text().splitlines() == [
            *("one", "character special file", "a library of the vendor"),
        ]
        assert not (tree / "usr/lib/vendor").exists()
        assert not (tree / "dev/vendor0").exists()


def test_b3_a_build_is_given_no_device_that_was_not_allowed(
    project: Project, vendor: Vendor
) -> None:
    vendor.put(("one", vendor.edits()), ("two", {"env": ["TWO=2"]}))
    dockerfile = f"FROM busybox\nRUN --device={ONE} true\n"
    for allow in ([], ["--allow", "device=vendor.com/device=two"], ["--allow", "network.host"]):
        said = project.fails(dockerfile, *allow)
        assert f"device {ONE} is not allowed" in said
    assert "unknown entitlement devices" in project.fails(dockerfile, "--allow", "devices")
    noted = {"org.mobyproject.buildkit.device.autoallow": "true"}
    vendor.put(("one", vendor.edits()), annotations=noted)
    project.image(dockerfile)


def test_a_daemon_that_permits_no_devices(
    make_daemon: Callable[..., Daemon], vendor: Vendor, tmp_path: Path
) -> None:
    vendor.put(("one", vendor.edits()))
    config = {"cdi-spec-dirs": [str(vendor.specs)], "builder": {"entitlements": {"device": False}}}
    daemon = make_daemon(config=config).start()
    daemon.load(images.busybox())
    project = Project(Cli(str(BIN / "moor"), daemon.socket, tmp_path), tmp_path)
    for allow in ("device", f"device={ONE}"):
        said = project.fails(f"FROM busybox\nRUN --device={ONE} true\n", "--allow", allow)
        assert f"device {ONE} is not allowed" in said


def test_which_devices_a_build_step_means(project: Project, vendor: Vendor) -> None:
    group = {"org.mobyproject.buildkit.device.class": "fast"}
    devices = [
        {"name": n, "annotations": group if n != "a" else {}, "containerEdits": {"env": [f"{n}=1"]}}
        for n in "abc"
    ]
    vendor.put(devices=devices)
    show = "env | grep '^[abc]=' | sort | tr '\\n' ' ' >> /out"
    kind = "vendor.com/device"
    tree = project.tree(
        f"FROM busybox\nRUN --device={kind} {show}\nRUN --device={kind}=* {show}\n"
        f"RUN --device=name={kind}=fast,required=true {show}\n"
        f"RUN --device={kind}=none --device={kind}=c {show}\n"
        f"RUN --device={kind}=mine,required {show}\n"
        f"RUN --device=other.com/x,required=false echo end >> /out\n",
        *("--allow", "device", "--allow", f"device={kind}=b,alias={kind}=mine"),
    )
    assert (tree / "out").read_text() == "a=1 a=1 b=1 c=1 b=1 c=1 c=1 b=1 end\n"
    said = project.fails(f"FROM busybox\nRUN --device={kind}=none,required true\n")
    assert f'required device "{kind}=none" is not registered' in said
    assert "Dockerfile:2" in said
    for wrong, why in {
        f"{kind}=a,b=c": "unexpected key 'b' in 'b=c'",
        f"{kind}=a,requird": "invalid field 'requird' must be a key=value pair",
        f"{kind}=a,required=x": "invalid value for required: x",
        "nothing": 'invalid device "nothing"',
    }.items():
        assert why in project.fails(f"FROM busybox\nRUN --device={wrong} true\n")


def test_devices_are_a_part_of_the_cache_key(project: Project, vendor: Vendor) -> None:
    dockerfile = f"FROM busybox\nRUN --device={ONE} echo $VENDOR > /out\n"
    allow = ("--allow", "device")
    without = project.image(dockerfile, *allow)
    assert project.image(dockerfile, *allow) == without
    vendor.put(("one", vendor.edits()))
    with_device = project.image(dockerfile, *allow)
    assert with_device != without
    assert project.image(dockerfile, *allow) == with_device


def test_a_node_that_would_stay_in_the_image_is_refused(project: Project, vendor: Vendor) -> None:
    vendor.put(("one", {"deviceNodes": [{"path": "/opt/v", "hostPath": "/dev/full"}]}))
    dockerfile = f"FROM busybox\nRUN --device={ONE} true\n"
    said = project.fails(dockerfile, "--allow", "device", "--no-cache")
    assert "device node /opt/v cannot be given to a build step" in said
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
