"""What devices change in an OCI specification."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.cdi import injection
from moorage.cdi.catalogue import Found, build
from moorage.lib.errors import System
from moorage.spec.cdi import (
    ContainerEdits,
    Device,
    DeviceNode,
    Hook,
    IntelRdt,
    Mount,
    Specification,
)
from moorage.spec.oci import runtime as oci

SPEC = oci.Spec(
    oci_version="1.0.2",
    process=oci.Process(
        user=oci.User(uid=7, gid=8, additional_gids=[1]),
        args=["true"],
        env=["A=old", "PATH=/bin"],
        cwd="/",
    ),
    mounts=[
        oci.Mount(destination="/proc", type="proc"),
        oci.Mount(destination="/usr/lib/x/", type="bind", source="/old"),
        oci.Mount(destination="/dev/pts", type="devpts"),
    ],
    linux=oci.Linux(
        devices=[oci.LinuxDevice(path="/dev/full2", type="c", major=9, minor=9)],
        resources=oci.LinuxResources(devices=[oci.LinuxDeviceCgroup(allow=False, access="rwm")]),
    ),
)


def applied(*edits: ContainerEdits) -> oci.Spec:
    return injection.apply(SPEC, injection.prepare(edits))


def test_environment_replaces_and_groups_are_added() -> None:
    process = applied(ContainerEdits(env=["A=new", "B=1"], additional_gids=[0, 1, 44])).process
    assert process is not None
    assert process.env == ["A=new", "PATH=/bin", "B=1"]
    assert process.user.additional_gids == [1, 44]


def test_a_node_is_that_of_the_host_and_belongs_to_who_uses_it() -> None:
    node = DeviceNode(path="/dev/full2", host_path="/dev/full", permissions="rw")
    linux = applied(ContainerEdits(device_nodes=[node])).linux
    assert linux is not None
    assert linux.devices == [
        oci.LinuxDevice(path="/dev/full2", type="c", major=1, minor=7, uid=7, gid=8)
    ]
    assert linux.resources is not None
    assert linux.resources.devices == [
        oci.LinuxDeviceCgroup(allow=False, access="rwm"),
        oci.LinuxDeviceCgroup(allow=True, type="c", major=1, minor=7, access="rw"),
    ]


def test_a_node_that_says_all_needs_none_on_the_host() -> None:
    node = DeviceNode(path="/dev/x", type="b", major=7, minor=3, file_mode=0o640, uid=0, gid=6)
    linux = applied(ContainerEdits(device_nodes=[node])).linux
    assert linux is not None
    assert linux.devices is not None
    assert linux.devices[1] == oci.LinuxDevice(
        path="/dev/x", type="b", major=7, minor=3, file_mode=0o640, uid=0, gid=6
    )


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (DeviceNode(path="/dev/nosuch"), 'failed to stat CDI host device "/dev/nosuch"'),
        (DeviceNode(path="/dev/x", host_path="/etc/passwd"), "not a device node"),
        (DeviceNode(path="/dev/full", type="b"), r"host type mismatch \(b, c\)"),
    ],
)
def test_nodes_that_are_not_there(node: DeviceNode, said: str) -> None:
    with pytest.raises(System, match=f"CDI device injection failed: .*{said}"):
        applied(ContainerEdits(device_nodes=[node]))


def test_a_mount_takes_the_place_of_another_and_lies_above_what_it_holds() -> None:
    mounts = applied(
        ContainerEdits(
            mounts=[
                Mount(host_path="/a", container_path="/usr/lib/x", options=["ro"]),
                Mount(host_path="/b", container_path="/usr"),
                Mount(host_path="tmpfs", container_path="/t", type="tmpfs"),
            ]
        )
    ).mounts
    assert [(m.destination, m.source, m.type, m.options) for m in mounts or []] == [
        ("/proc", None, "proc", None),
        ("/usr", "/b", "bind", ["bind"]),
        ("/t", "tmpfs", "tmpfs", None),
        ("/dev/pts", None, "devpts", None),
        ("/usr/lib/x", "/a", "bind", ["ro", "bind"]),
    ]


def test_r14_a_hook_never_inherits_an_environment() -> None:
    hooks = applied(
        ContainerEdits(
            hooks=[
                Hook(hook_name="createContainer", path="/bin/sh", args=["sh"], timeout=3),
                Hook(hook_name="startContainer", path="/of/the/container", env=["A=b"]),
                Hook(hook_name="createContainer", path="/bin/sh", env=["A=b"]),
            ]
        )
    ).hooks
    assert hooks is not None
    first, second = hooks.create_container or []
    assert first.env == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    assert (first.args, first.timeout, second.env) == (["sh"], 3, ["A=b"])
    assert [h.path for h in hooks.start_container or []] == ["/of/the/container"]


def test_r14_a_hook_whose_program_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    program = tmp_path / "hook"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    edits = ContainerEdits(hooks=[Hook(hook_name="createRuntime", path=str(program))])
    with pytest.raises(System, match="can be written by others than root"):
        applied(edits)
    program.chmod(0o755)
    applied(edits)
    program.unlink()
    with pytest.raises(System, match=r"hook .*no such file"):
        applied(edits)


def test_intel_rdt_of_the_last_device_counts() -> None:
    first = IntelRdt(clos_id="a", l3_cache_schema="L3:0=f", enable_cmt=True)
    last = IntelRdt(clos_id="b", mem_bw_schema="MB:0=70", enable_mbm=True)
    linux = applied(ContainerEdits(intel_rdt=first), ContainerEdits(intel_rdt=last)).linux
    assert linux is not None
    assert linux.intel_rdt == oci.LinuxIntelRdt(
        clos_id="b", mem_bw_schema="MB:0=70", enable_mbm=True
    )


def test_edits_of_a_file_are_made_once() -> None:
    devices = [
        Device(name=name, container_edits=ContainerEdits(env=[f"{name}=1"])) for name in "ab"
    ]
    document = Specification(
        cdi_version="0.6.0",
        kind="vendor.com/device",
        devices=devices,
        container_edits=ContainerEdits(env=["ALL=1"]),
    )
    found = build([Found("/etc/cdi/x.json", 0, document)], {})
    names = ["vendor.com/device=b", "vendor.com/device=a", "vendor.com/device=b"]
    assert [e.env for e in found.edits(names)] == [["ALL=1"], ["b=1"], ["a=1"]]


def test_nothing_changes_nothing() -> None:
    assert injection.apply(SPEC, injection.prepare([])) is SPEC
