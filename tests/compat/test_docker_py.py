"""The Docker SDK for Python against our daemon, as programs use it."""

from __future__ import annotations

import io
import socket
import tarfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import docker as sdk  # type: ignore[import-untyped]
import pytest
from docker.errors import (  # type: ignore[import-untyped]
    APIError,
    BuildError,
    ContainerError,
    ImageLoadError,
    ImageNotFound,
    NotFound,
)
from docker.types import (  # type: ignore[import-untyped]
    Healthcheck,
    LogConfig,
    Mount,
    Ulimit,
)

from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture(params=["1.41", "1.44", "auto"])
def client(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The SDK, speaking an old version, its own, and the newest that the daemon has."""
    found = sdk.DockerClient(base_url=f"unix://{daemon.socket}", version=request.param, timeout=30)
    yield found
    found.close()


def test_run_gives_the_output_or_raises(client: Any) -> None:
    assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
    with pytest.raises(ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3
    assert failed.value.stderr == b"no\n"
    with pytest.raises(ImageNotFound):
        client.containers.create("127.0.0.1:9/nothing")
    with pytest.raises(NotFound):
        client.containers.get("nothing")


def test_a_container_with_many_settings(client: Any) -> None:
    container = client.containers.run(
        "busybox",
        "sleep 1000",
        detach=True,
        init=True,
        user="1:1",
        environment=["A=b"],
        labels={"x": "y"},
        mem_limit="64m",
        nano_cpus=500_000_000,
        ulimits=[Ulimit(name="nofile", soft=100, hard=200)],
        healthcheck=Healthcheck(test=["CMD", "true"], interval=1_000_000_000),
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"}),
        mounts=[Mount("/cache", "", type="tmpfs"), Mount("/deep/data", "data")],
        ports={"80/tcp": None},
        stop_signal="SIGKILL",
    )
    listing = container.exec_run("ls -d /deep/data")  # as a user who owns nothing there
    assert listing == (0, b"/deep/data\n")
    assert container.exec_run("sh -c 'echo $A; exit 4'", environment={"A": "c"}) == (4, b"c\n")
    code, (out, err) = container.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
    assert (code, out, err) == (0, b"o\n", b"e\n")
    container.reload()
    assert container.status == "running"
    assert container.ports["80/tcp"][0]["HostPort"].isdecimal()
    assert [m["Type"] for m in container.attrs["HostConfig"]["Mounts"]] == ["tmpfs", "volume"]
    assert "BindOptions" not in container.attrs["HostConfig"]["Mounts"][0]
    reading = container.stats(stream=False)
    assert reading["memory_stats"]["usage"] > 0
    assert reading["networks"]["eth0"]["rx_bytes"] >= 0
    container.pause()
    container.unpause()
    container.rename("other")
    container.stop()
    assert container.wait()["StatusCode"] == 137
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    assert networks["bridge"]["NetworkID"] == client.networks.get("bridge").id


def test_a_plain_container_shows_no_more_than_it_was_given(client: Any) -> None:
    container = client.containers.create("busybox", "true")
    unset = {"ExposedPorts", "Healthcheck", "NetworkDisabled", "Shell", "StopSignal", "StopTimeout"}
    assert not unset & container.attrs["Config"].keys()
    unset = {"Annotations", "Init", "Mounts", "StorageOpt", "Sysctls", "Tmpfs"}
    assert not unset & container.attrs["HostConfig"].keys()
    assert container.attrs["HostConfig"]["Binds"] is None
    image = client.images.get("busybox").attrs["Config"]
    assert not {"ExposedPorts", "Healthcheck", "StopSignal", "Shell"} & image.keys()
    asleep = container.stats(stream=False)
    assert "io_service_bytes_recursive" in asleep["blkio_stats"]
    assert asleep["memory_stats"] == {}


def test_logs_come_line_by_line_and_a_terminals_output_in_frames(client: Any) -> None:
    container = client.containers.run("busybox", "seq 3", detach=True)
    assert container.wait()["StatusCode"] == 0
    assert list(container.logs(stream=True)) == [b"1\n", b"2\n", b"3\n"]
    container = client.containers.run("busybox", "sleep 1000", detach=True)
    made = client.api.exec_create(container.id, "echo out", tty=True)
    assert client.api.exec_start(made["Id"]) == b"out\r\n"
    container.kill()
    container.reload()
    assert container.status == "exited"
    container.remove()


def test_what_cannot_be_loaded_is_told_in_the_stream(client: Any) -> None:
    with pytest.raises(ImageLoadError, match="unexpected EOF"):
        client.images.load(b"abc")


def test_attached_streams(client: Any) -> None:
    container = client.api.create_container("busybox", "cat", stdin_open=True)
    stream = client.api.attach_socket(container, params={"stdin": 1, "stream": 1})
    client.api.start(container)
    with closing(stream._sock) as raw, stream:  # noqa: SLF001 - as all do who use it
        raw.sendall(b"through\n")
        raw.shutdown(socket.SHUT_WR)
        assert client.api.wait(container, timeout=20)["StatusCode"] == 0
    # not attach(logs=True): the SDK reads past its own buffer, and loses what came with the head
    assert client.api.logs(container) == b"through\n"
    assert b"".join(client.api.logs(container, stream=True)) == b"through\n"


def test_copies(client: Any) -> None:
    container = client.containers.create("busybox", "true")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("note")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"text"))
    assert container.put_archive("/", file.getvalue())
    chunks, stat = container.get_archive("/note")
    assert (stat["name"], stat["size"]) == ("note", 4)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        copied = tar.extractfile("note")
        assert copied is not None
        assert copied.read() == b"text"
    assert {"Path": "/note", "Kind": 1} in container.diff()
    image = container.commit("noted", changes=["ENV A=b"])
    assert "A=b" in client.images.get(image.id).attrs["Config"]["Env"]
    container.remove()
    client.images.remove("noted")


def test_builds(client: Any) -> None:
    recipe = b"FROM busybox\nARG A=1\nRUN test $A = 2\nCMD echo built"
    image, lines = client.images.build(
        fileobj=io.BytesIO(recipe), tag="built", buildargs={"A": "2"}, rm=True
    )
    assert any("Successfully built" in line.get("stream", "") for line in lines)
    assert client.containers.run("built", remove=True) == b"built\n"
    assert "built:latest" in image.tags
    client.images.remove("built")
    with pytest.raises(BuildError, match="returned a non-zero code: 1"):
        client.images.build(fileobj=io.BytesIO(recipe), rm=True)


def test_networks_volumes_and_events(client: Any) -> None:
    network = client.networks.create("lan", labels={"a": "b"})
    container = client.containers.create("busybox", "sleep 1000", name="peer")
    network.connect(container, aliases=["mate"])
    container.start()
    said = client.containers.run("busybox", "ping -c 1 mate", network="lan", remove=True)
    assert b"1 packets received" in said
    network.reload()
    assert [c.name for c in network.containers] == ["peer"]
    assert client.networks.list(names=["lan"])[0].attrs["Labels"] == {"a": "b"}
    with pytest.raises(APIError, match="has active endpoints"):
        network.remove()
    began = client.api.inspect_container("peer")["State"]["StartedAt"]
    container.remove(force=True)
    network.remove()
    seen = client.events(since=began, until="9999999999", decode=True, filters={"name": ["x"]})
    assert next(seen)["Type"] in {"container", "network"}
    seen.close()
    volume = client.volumes.create("kept", labels={"a": "b"})
    if "Volumes" in (usage := client.df()):  # the newest version has it elsewhere
        assert next(v for v in usage["Volumes"] if v["Name"] == "kept")["UsageData"]["Size"] == 0
    assert "UsageData" not in client.volumes.get("kept").attrs
    volume.remove()
    assert client.volumes.prune()["VolumesDeleted"] in (None, [])
