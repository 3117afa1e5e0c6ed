from __future__ import annotations

import pytest

from moorage.containers import merge
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.health import HealthConfig
from moorage.spec.oci.image import ContainerConfig as ImageConfig

IMAGE = ImageConfig(
    user="app",
    env=["PATH=/bin", "A=image"],
    entrypoint=["/entry"],
    cmd=["serve"],
    working_dir="/srv",
    labels={"a": "image", "b": "image"},
    exposed_ports={"80/tcp": {}},
    volumes={"/data": {}},
    stop_signal="SIGQUIT",
)


def test_the_image_completes_what_the_user_left_out() -> None:
    merged = merge.with_image(ContainerConfig(image="x"), IMAGE)
    assert merge.command(merged) == ("/entry", ["serve"])
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("app", "/srv", "SIGQUIT")
    assert merged.exposed_ports == {"80/tcp": {}}
    assert merged.volumes == {"/data": {}}


def test_environment_of_the_user_goes_first_and_wins() -> None:
    merged = merge.with_image(ContainerConfig(env=["A=user", "C=1"]), IMAGE)
    assert merged.env == ["A=user", "C=1", "PATH=/bin"]


def test_a_command_of_the_user_keeps_the_entrypoint_of_the_image() -> None:
    merged = merge.with_image(ContainerConfig(cmd=["other"]), IMAGE)
    assert merge.command(merged) == ("/entry", ["other"])


def test_an_entrypoint_of_the_user_drops_the_command_of_the_image() -> None:
    merged = merge.with_image(ContainerConfig(entrypoint=["/bin/sh"]), IMAGE)
    assert merge.command(merged) == ("/bin/sh", [])


def test_an_empty_entrypoint_takes_the_one_of_the_image_away() -> None:
    merged = merge.with_image(ContainerConfig(entrypoint=[""], cmd=["true"]), IMAGE)
    assert merge.command(merged) == ("true", [])
    assert merged.entrypoint is None


def test_labels_are_joined() -> None:
    merged = merge.with_image(ContainerConfig(labels={"a": "user"}), IMAGE)
    assert merged.labels == {"a": "user", "b": "image"}


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="no command specified"):
        merge.with_image(ContainerConfig(), ImageConfig())


def test_a_health_check_is_completed_field_by_field() -> None:
    image = ImageConfig(
        cmd=["x"], healthcheck=HealthConfig(test=["CMD", "check"], interval=5, retries=7)
    )
    merged = merge.with_image(ContainerConfig(healthcheck=HealthConfig(retries=2)), image)
    assert merged.healthcheck == HealthConfig(test=["CMD", "check"], interval=5, retries=2)
