"""CDI files: what is read, and what is refused with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.cdi import names, reading
from moorage.lib.errors import InvalidParameter

GOOD = """
cdiVersion: "0.6.0"
kind: vendor.com/device
annotations: {note: "1"}
containerEdits:
  env: [VENDOR=yes]
devices:
  - name: 0
    containerEdits:
      deviceNodes:
        - {path: /dev/vendor0, hostPath: /dev/full, type: c, major: 1, minor: 7, fileMode: 0666,
           permissions: rw, uid: 1, gid: 2}
      mounts:
        - {hostPath: /etc/os-release, containerPath: /vendor, options: [ro, bind], type: bind}
      hooks:
        - {hookName: createRuntime, path: /bin/true, args: ["true"], env: [A=b], timeout: 5}
"""


def document(**changes: Any) -> dict[str, Any]:
    device = {"name": "one", "containerEdits": {"env": ["A=b"]}}
    return {"cdiVersion": "0.6.0", "kind": "vendor.com/device", "devices": [device], **changes}


def edits(**given: Any) -> dict[str, Any]:
    return document(cdiVersion="1.0.0", devices=[{"name": "one", "containerEdits": given}])


def parse(raw: object) -> Any:
    return reading.parse(json.dumps(raw).encode(), yaml=False)


def test_yaml_and_json_say_the_same() -> None:
    found = reading.parse(GOOD.encode(), yaml=True)
    (device,) = found.devices or []
    assert device.name == "0"
    (node,) = device.container_edits.device_nodes or []
    assert (node.path, node.host_path, node.file_mode) == ("/dev/vendor0", "/dev/full", 0o666)
    (hook,) = device.container_edits.hooks or []
    assert (hook.hook_name, hook.timeout) == ("createRuntime", 5)
    assert found.container_edits.env == ["VENDOR=yes"]
    import yaml  # noqa: PLC0415 - only to write the same document as JSON

    same = reading.parse(json.dumps(yaml.safe_load(GOOD)).encode(), yaml=False)
    assert same == found


def test_keys_are_matched_without_case_and_null_is_nothing() -> None:
    found = parse(edits(additionalGIDs=[5], env=None))
    assert found.devices[0].container_edits.additional_gids == [5]
    assert found.devices[0].container_edits.env is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (document(cdiVersion="2.0.0"), 'invalid version "2.0.0"'),
        (document(cdiVersion="0.1.0"), "the spec version must be at least v0.3.0"),
        (document(cdiVersion="0.5.0", annotations={"a": "b"}), "must be at least v0.6.0"),
        (document(cdiVersion="0.5.0", kind="vendor.com/a.b"), "must be at least v0.6.0"),
        (document(kind="vendor"), "invalid class '' of kind 'vendor'"),
        (document(kind="9vendor.com/device"), "invalid vendor '9vendor.com'"),
        (document(kind="vendor.com/device-"), "invalid class 'device-'"),
        (document(annotations={"a b": "c"}), "invalid annotation key 'a b'"),
        (document(annotations={"a": "b" * (256 << 10)}), "annotations take more than"),
        (document(devices=[*document()["devices"]] * 2), 'multiple device "one"'),
        (document(devices=[{"name": "one", "containerEdits": {}}]), "empty container edits"),
        (document(devices=[{"name": "a/b", "containerEdits": {"env": ["A=b"]}}]), "device name"),
        (document(more=1), "unknown field `more`"),
        (document(devices=[{"containerEdits": {}}]), "missing required field `name`"),
        (edits(env=["=a"]), 'invalid environment variable "=a"'),
        (edits(env=["A=\0"]), "a null byte is not allowed"),
        (edits(deviceNodes=[{"path": ""}]), r"invalid \(empty\) device path"),
        (edits(deviceNodes=[{"path": "dev/x"}]), "'dev/x' is not an absolute path"),
        (edits(deviceNodes=[{"path": "/dev/x", "type": "d"}]), 'invalid type "d"'),
        (edits(deviceNodes=[{"path": "/dev/x", "permissions": "rx"}]), 'permissions "rx"'),
        (edits(deviceNodes=[{"path": "/dev/x", "uid": -1}]), "Expected `int` >= 0"),
        (edits(deviceNodes=[{"path": "/dev/x", "major": 1 << 40}]), "Expected `int` <="),
        (edits(hooks=[{"hookName": "before", "path": "/x"}]), 'invalid hook name "before"'),
        (edits(hooks=[{"hookName": "poststop", "path": "x"}]), "'x' is not an absolute path"),
        (edits(hooks=[{"hookName": "poststop", "path": ""}]), "with empty path"),
        (edits(mounts=[{"hostPath": "", "containerPath": "/x"}]), "empty host path"),
        (edits(mounts=[{"hostPath": "/x", "containerPath": ""}]), "empty container path"),
        (edits(intelRdt={"closID": "../x"}), "invalid ClosID"),
        ([], "Expected `object`"),
        (None, "Expected `object`"),
    ],
)
def test_what_is_refused(raw: object, said: str) -> None:
    with pytest.raises(InvalidParameter, match=said):
        parse(raw)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\x00",
        b"a: &a [b]\nc: *a\n",
        b"!!python/object/apply:os.system ['true']",
        b"{" * 5000,
        b"a: [" * 5000,
        b"- : :\n\t",
    ],
)
def test_hostile_yaml_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidParameter):
        reading.parse(text, yaml=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(text: bytes, yaml: bool) -> None:  # noqa: FBT001
    try:
        reading.parse(text, yaml=yaml)
    except InvalidParameter:
        return
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("vendor.com/device=one", True),
        ("v/d=0", True),
        ("nvidia.com/gpu=GPU-955ef018:0.1_a", True),
        ("vendor.com/device", False),
        ("vendor.com/device=", False),
        ("vendor.com/device=one\n", False),
        ("/dev/a=b", False),
        ("vendor.com/de/vice=a", False),
        ("vendor.com/device=é", False),
    ],
)
def test_names_of_devices(name: str, whole: bool) -> None:  # noqa: FBT001
    assert names.is_qualified(name) is whole
