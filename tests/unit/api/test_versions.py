"""What clients of older versions of the API send and see."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moorage.api import versions
from moorage.api.operations import OPERATIONS
from moorage.api.versions import LIFT, LIFT_QUERY, LOWER


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


def test_old_clients_get_the_defaults_of_their_time() -> None:
    body = lifted("ContainerCreate", (1, 39), {"HostConfig": {"Binds": None}})
    assert body["HostConfig"]["IpcMode"] == "shareable"
    assert body["HostConfig"]["CgroupnsMode"] == "host"
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
