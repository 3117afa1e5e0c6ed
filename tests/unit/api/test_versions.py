"""What clients of older versions of the API send and see."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from moorage.api import versions
from moorage.api.operations import OPERATIONS
from moorage.api.streams import event_type
from moorage.api.versions import LIFT, LIFT_QUERY, LOWER
from moorage.containers.create import VOLUME_DRIVER_IGNORED
from moorage.lib.errors import InvalidParameter


def lowered(operation: str, version: tuple[int, int], value: Any) -> Any:
    lower = versions.lower(operation, version)
    return lower(value) if lower else msgspec.to_builtins(value)


def lifted(operation: str, version: tuple[int, int], body: Any) -> Any:
    lift = versions.lift(operation, version)
    if lift:
        lift(body)
    return body


def test_every_difference_is_of_an_operation_of_the_document() -> None:
    known = {operation for _, _, operation in OPERATIONS}
    assert {name for table in (LIFT, LOWER, LIFT_QUERY) for _, name, _ in table} <= known


def test_results_are_lowered_from_the_newest_version_down() -> None:
    befores = [before for before, _, _ in LOWER]
    assert befores == sorted(befores, reverse=True)


def test_the_newest_client_gets_everything_untouched() -> None:
    changed = {name for _, _, name in OPERATIONS if versions.lower(name, (1, 55)) is not None}
    assert changed == set(versions.SHAPE)


def test_settings_that_say_nothing_are_left_out() -> None:
    config = {"User": "", "Healthcheck": None, "NetworkDisabled": False, "StopTimeout": 0}
    host_config = {"Init": False, "Sysctls": {}, "Mounts": None, "Binds": None}
    shape = versions.lower("ContainerInspect", (1, 55))
    assert shape is not None
    assert shape({"Config": config, "HostConfig": host_config}) == {
        "Config": {"User": "", "StopTimeout": 0},
        "HostConfig": {"Init": False, "Binds": None},
    }


@pytest.mark.parametrize(
    ("program", "version"),
    [("docker-compose/1.29.2 docker-py/5.0.3", "1.44"), ("compose/v2.40", "1.55"), ("", "1.55")],
)
def test_the_newest_version_that_is_offered(program: str, version: str) -> None:
    assert versions.offered(program, "1.55") == version
    assert all(versions.lift(operation, (1, 55)) is None for _, _, operation in OPERATIONS)


def test_address_of_the_default_network_beside_the_list_before_1_52() -> None:
    settings = {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "IPPrefixLen": 16}}}
    container = {"Id": "c" * 64, "NetworkSettings": settings}
    assert "IPAddress" not in lowered("ContainerInspect", (1, 52), container)["NetworkSettings"]
    old = lowered("ContainerInspect", (1, 50), container)["NetworkSettings"]
    assert (old["IPAddress"], old["IPPrefixLen"], old["Gateway"]) == ("172.17.0.2", 16, "")


@pytest.mark.parametrize("operation", sorted({name for _, name, _ in LOWER}))
@pytest.mark.parametrize("value", [{}, {"Config": None, "NetworkSettings": None}])
def test_a_result_without_the_fields_is_no_error(operation: str, value: dict[str, None]) -> None:
    is_list = operation in {"ContainerList", "ImageList", "NetworkList"}
    lowered(operation, (1, 24), [value] if is_list else value)


@pytest.mark.parametrize("operation", sorted({name for _, name, _ in LIFT}))
@pytest.mark.parametrize(
    "body",
    [{}, {"HostConfig": None}, {"HostConfig": {"Mounts": None}}, {"hostconfig": {"mounts": [{}]}}],
)
def test_a_body_without_the_fields_is_no_error(operation: str, body: dict[str, Any]) -> None:
    lifted(operation, (1, 24), body)


@pytest.mark.parametrize("operation", sorted({name for _, name, _ in LIFT}))
@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"HostConfig": [1], "NetworkingConfig": 2}',
        '{"HostConfig": {"Mounts": 4, "PortBindings": [1]}}',
        '{"HostConfig": {"Mounts": [5, {"Type": "bind", "BindOptions": [6], "ReadOnly": true}]}}',
        '{"NetworkingConfig": {"EndpointsConfig": ["a", "b"]}, "Healthcheck": 7}',
    ],
)
def test_a_body_of_other_types_is_left_to_who_decodes_it(operation: str, text: str) -> None:
    given, body = json.loads(text), lifted(operation, (1, 24), json.loads(text))
    if isinstance(given, dict) and isinstance(given.get("HostConfig"), list):
        assert body["HostConfig"] == given["HostConfig"]


def test_old_clients_get_the_defaults_of_their_time() -> None:
    for given in ({"HostConfig": {"Binds": None}}, {"HostConfig": None}, {}):
        body = lifted("ContainerCreate", (1, 39), given)
        assert body["HostConfig"]["IpcMode"] == "shareable"
        assert "IpcMode" not in (lifted("ContainerCreate", (1, 40), {}).get("HostConfig") or {})
    kept = lifted("ContainerCreate", (1, 39), {"hostconfig": {"ipcmode": "private"}})
    assert kept["hostconfig"]["ipcmode"] == "private"


def test_a_read_only_bind_is_shallow_before_1_44() -> None:
    mounts = [{"Type": "bind", "ReadOnly": True}, {"Type": "volume", "ReadOnly": True}]
    body = lifted("ContainerCreate", (1, 43), {"HostConfig": {"Mounts": mounts}})
    assert body["HostConfig"]["Mounts"][0]["BindOptions"] == {"ReadOnlyNonRecursive": True}
    assert "BindOptions" not in body["HostConfig"]["Mounts"][1]


def test_volume_prune_takes_named_volumes_before_1_42() -> None:
    old = versions.lift_query("VolumePrune", (1, 41), {"filters": ['{"label":["a"]}']})
    assert msgspec.json.decode(old["filters"][0]) == {"all": ["true"], "label": ["a"]}
    assert versions.lift_query("VolumePrune", (1, 42), {}) == {}


def test_events_of_containers_have_their_old_fields_before_1_52() -> None:
    actor = {"ID": "abc", "Attributes": {"image": "nginx"}}
    event = {"Type": "container", "Action": "start", "Actor": actor}
    old = lowered("SystemEvents", (1, 51), event)
    assert (old["status"], old["id"], old["from"]) == ("start", "abc", "nginx")
    assert "status" not in lowered("SystemEvents", (1, 52), event)
    prune = {"Type": "image", "Action": "prune", "Actor": {"ID": "", "Attributes": {}}}
    assert "id" not in lowered("SystemEvents", (1, 51), prune)
    network = {"Type": "network", "Action": "create", "Actor": actor}
    assert lowered("SystemEvents", (1, 51), network) == network


def test_untagged_images_have_names_for_that_before_1_43() -> None:
    image: dict[str, Any] = {"Id": "sha256:1", "RepoTags": [], "RepoDigests": None, "Size": 5}
    (old,) = lowered("ImageList", (1, 42), [dict(image)])
    assert (old["RepoTags"], old["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])
    assert old["VirtualSize"] == 5
    (new,) = lowered("ImageList", (1, 44), [dict(image)])
    assert new["RepoTags"] == []
    assert "VirtualSize" not in new


def test_disk_usage_is_lists_before_1_52() -> None:
    usage = {"ImageUsage": {"TotalSize": 9, "Items": [{"Size": 9}]}, "VolumeUsage": None}
    assert lowered("SystemDataUsage", (1, 51), usage) == {
        "LayersSize": 9,
        "Images": [{"Size": 9}],
        "Containers": None,
        "Volumes": None,
        "BuildCache": None,
    }


@pytest.mark.parametrize(
    ("version", "body", "sentence"),
    [
        (
            (1, 43),
            {"NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": None}}},
            "Container cannot be created with multiple network endpoints: a, b",
        ),
        (
            (1, 43),
            {
                "HostConfig": {
                    "Mounts": [{"Type": "bind", "BindOptions": {"ReadOnlyForceRecursive": True}}]
                }
            },
            "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
        ),
        (
            (1, 44),
            {"HostConfig": {"Mounts": [{"Type": "volume", "VolumeOptions": {"Subpath": "x"}}]}},
            "VolumeOptions.Subpath needs API v1.45 or newer",
        ),
        (
            (1, 47),
            {"hostconfig": {"mounts": [{"type": "image"}]}},
            'Mount type "Image" needs API v1.48 or newer',
        ),
    ],
)
def test_what_would_mean_less_than_is_wished_is_refused_before_its_time(
    version: tuple[int, int], body: dict[str, Any], sentence: str
) -> None:
    major, minor = version
    lifted("ContainerCreate", (major, minor + 1), msgspec.json.decode(msgspec.json.encode(body)))
    with pytest.raises(InvalidParameter) as refused:
        lifted("ContainerCreate", version, body)
    assert refused.value.message == sentence


def test_what_was_unknown_to_create_is_without_effect() -> None:
    def create(version: tuple[int, int], **body: Any) -> Any:
        return lifted("ContainerCreate", version, body)

    check = {"Test": ["NONE"], "StartInterval": 1}
    assert create((1, 43), Healthcheck=dict(check))["Healthcheck"] == {"Test": ["NONE"]}
    assert create((1, 44), Healthcheck=dict(check))["Healthcheck"] == check
    assert create((1, 24), HostConfig={"AutoRemove": True})["HostConfig"].get("AutoRemove") is None
    assert create((1, 25), HostConfig={"AutoRemove": True})["HostConfig"]["AutoRemove"] is True
    mount = {"Type": "tmpfs", "VolumeOptions": {}, "TmpfsOptions": {}, "BindOptions": {}}
    old = create((1, 41), HostConfig={"Mounts": [dict(mount)]})["HostConfig"]["Mounts"][0]
    assert old.keys() == {"Type", "TmpfsOptions", "BindOptions"}
    assert create((1, 44), HostConfig={"Mounts": [mount]})["HostConfig"]["Mounts"] == [mount]

    def endpoint(version: tuple[int, int], **more: Any) -> Any:
        wishes = {"a": {"GwPriority": 1, "MacAddress": "02:00:00:00:00:01"}}
        body = create(version, NetworkingConfig={"EndpointsConfig": wishes}, **more)
        return body["NetworkingConfig"]["EndpointsConfig"]["a"].keys()

    assert endpoint((1, 43)) == set()
    assert endpoint((1, 43), MacAddress="02:00:00:00:00:02") == {"MacAddress"}
    assert endpoint((1, 44)) == {"MacAddress"}
    assert endpoint((1, 48)) == {"GwPriority", "MacAddress"}


def test_an_empty_list_of_places_published_a_port_before_1_53() -> None:
    wish: dict[str, Any] = {"HostConfig": {"PortBindings": {"80/tcp": [], "81/tcp": None}}}
    bindings = lifted("ContainerCreate", (1, 52), wish)["HostConfig"]["PortBindings"]
    assert bindings == {"80/tcp": [{}], "81/tcp": [{}]}


def test_limits_of_devices_could_not_be_updated_before_1_55() -> None:
    wish: dict[str, Any] = {
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteIOps": [],
        "BlkioWeightDevice": [],
    }
    assert lifted("ContainerUpdate", (1, 54), {"Memory": 1, **wish}) == {"Memory": 1}


@pytest.mark.parametrize(
    ("operation", "parameter", "since"),
    [
        ("ContainerCreate", "platform", (1, 41)),
        ("ContainerStats", "one-shot", (1, 41)),
        ("ContainerStop", "signal", (1, 42)),
        ("ContainerRestart", "signal", (1, 42)),
        ("ImageList", "shared-size", (1, 42)),
        ("SystemDataUsage", "type", (1, 42)),
        ("ImagePush", "platform", (1, 46)),
        ("ImageList", "manifests", (1, 47)),
        ("ImageHistory", "platform", (1, 48)),
        ("ImageGet", "platform", (1, 48)),
        ("ImageGetAll", "platform", (1, 48)),
        ("ImageLoad", "platform", (1, 48)),
        ("ImageInspect", "manifests", (1, 48)),
        ("ImageInspect", "platform", (1, 49)),
        ("ImageDelete", "platforms", (1, 50)),
    ],
)
def test_a_parameter_has_no_effect_before_its_time(
    operation: str, parameter: str, since: tuple[int, int]
) -> None:
    before = (since[0], since[1] - 1)
    assert parameter in versions.lift_query(operation, since, {parameter: ["x"]})
    assert parameter not in versions.lift_query(operation, before, {parameter: ["x"]})


def test_usage_was_told_both_ways_in_1_52_alone() -> None:
    usage = {"ImageUsage": {"TotalSize": 5, "Items": [{"Id": "1"}]}, "VolumeUsage": None}
    new = {"ImageUsage", "VolumeUsage"}
    old = {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}
    assert lowered("SystemDataUsage", (1, 53), dict(usage)).keys() == new
    both = lowered("SystemDataUsage", (1, 52), dict(usage))
    assert both.keys() == new | old
    assert (both["LayersSize"], both["Images"], both["Volumes"]) == (5, [{"Id": "1"}], None)
    assert lowered("SystemDataUsage", (1, 51), dict(usage)).keys() == old


def test_info_told_of_limits_of_kernel_memory_before_1_42() -> None:
    assert lowered("SystemInfo", (1, 41), {})["KernelMemory"] is False
    assert "KernelMemory" not in lowered("SystemInfo", (1, 42), {})


def test_clients_before_1_48_warn_of_volume_drivers_themselves() -> None:
    created = {"Id": "1", "Warnings": ["a", VOLUME_DRIVER_IGNORED]}
    assert lowered("ContainerCreate", (1, 48), dict(created)) == created
    assert lowered("ContainerCreate", (1, 47), dict(created))["Warnings"] == ["a"]


@pytest.mark.parametrize(
    ("version", "accept", "expected"),
    [
        ((1, 55), "", "application/json"),
        ((1, 55), "*/*", "application/json"),
        ((1, 55), "application/json", "application/json"),
        ((1, 55), "text/html;q=0.9, application/json-seq ; q=0.5", "application/json-seq"),
        ((1, 55), "application/x-ndjson;q=0.5,application/jsonl", "application/jsonl"),
        ((1, 52), "application/x-ndjson;q=0.5,application/jsonl", "application/x-ndjson"),
        ((1, 55), "application/jsonl;q=0,application/json;q=x", "application/json"),
        ((1, 51), "application/json-seq", "application/json"),
    ],
)
def test_events_have_the_type_that_the_client_likes_best(
    version: tuple[int, int], accept: str, expected: str
) -> None:
    assert event_type(accept, version) == expected


def test_an_unknown_origin_of_an_image_is_left_out_since_1_52() -> None:
    image = {"Id": "1", "Author": "me", "Comment": ""}
    assert lowered("ImageInspect", (1, 52), dict(image)) == {"Id": "1", "Author": "me"}
    old = lowered("ImageInspect", (1, 51), dict(image))
    assert (old["Author"], old["Comment"], old["Parent"]) == ("me", "", "")


def test_what_old_clients_did_not_know_of_containers_is_not_in_their_disk_usage() -> None:
    endpoint = {"IPAddress": "10.0.0.2", "GwPriority": 3, "DNSNames": ["web"]}
    container = {
        "Id": "c" * 64,
        "Health": {"Status": "none"},
        "ImageManifestDescriptor": {},
        "HostConfig": {"NetworkMode": "bridge", "Annotations": {"a": "b"}},
        "NetworkSettings": {"Networks": {"bridge": endpoint}},
    }
    usage = {"ContainerUsage": {"Items": [container]}}
    assert lowered("SystemDataUsage", (1, 52), usage)["Containers"] == [container]
    (old,) = lowered("SystemDataUsage", (1, 43), usage)["Containers"]
    assert old == {
        "Id": "c" * 64,
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "10.0.0.2"}}},
    }


def test_the_platform_of_a_pull_or_build_had_no_effect_before_1_32() -> None:
    for operation in ("ImageCreate", "ImageBuild"):
        asked = {"platform": ["nonsense"]}
        assert versions.lift_query(operation, (1, 31), asked) == {}
        assert versions.lift_query(operation, (1, 32), asked) == asked
