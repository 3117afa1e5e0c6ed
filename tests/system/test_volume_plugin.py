"""Volume plugins of Docker's protocol through the official client, against a real small plugin."""

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import Cli
from support.fakeplugin import VolumePlugin
from support.plugin import SOCKETS

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")
SPECS = Path("/etc/docker/plugins")


@pytest.fixture
def name() -> str:
    return f"san{secrets.token_hex(4)}"


@pytest.fixture
def plugin(name: str, tmp_path: Path) -> Iterator[VolumePlugin]:
    with VolumePlugin(SOCKETS / f"{name}.sock", tmp_path / "san") as plugin:
        yield plugin


def run(docker: Cli, mount: str, script: str) -> str:
    return docker("run", "--rm", "--network=none", "-v", mount, "busybox", "sh", "-c", script)


def test_the_life_of_a_volume_of_a_plugin(docker: Cli, plugin: VolumePlugin, name: str) -> None:
    assert docker("volume", "create", "-d", name, "-o", "tier=fast", "db") == "db"
    assert plugin.volumes == {"db": {"tier": "fast"}}
    fields = "{{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Status.health}}"
    said = docker("volume", "inspect", "-f", fields, "db")
    assert said == f"{name} global {plugin.root}/db good"
    assert docker("volume", "ls", "-q", "-f", f"driver={name}") == "db"
    run(docker, "db:/data", "echo kept >/data/file")
    assert (plugin.root / "db" / "file").read_text() == "kept\n"
    container = docker("create", "--network=none", "-v", "db:/data", "busybox", "cat", "/data/file")
    assert "volume is in use" in docker.run("volume", "rm", "db").err
    assert docker("start", "-a", container) == "kept"
    docker("rm", container)
    mounted = [r["ID"] for r in plugin.called("VolumeDriver.Mount")]
    assert container in mounted
    assert [r["ID"] for r in plugin.called("VolumeDriver.Unmount")] == mounted
    run(docker, "db:/data", "rm /data/file")
    assert docker("volume", "rm", "db") == "db"
    assert plugin.volumes == {}


@pytest.mark.parametrize("kind", ["spec", "json"])
def test_a_specification_file_names_a_plugin(
    docker: Cli, tmp_path: Path, name: str, kind: str
) -> None:
    socket = tmp_path / "elsewhere.sock"
    text = {
        "spec": f"unix://{socket}\n",
        "json": f'{{"Name": "{name}", "Addr": "unix://{socket}"}}',
    }
    SPECS.mkdir(parents=True, exist_ok=True)
    file = SPECS / f"{name}.{kind}"
    file.write_text(text[kind])
    try:
        with VolumePlugin(socket, tmp_path / "san") as plugin:
            run(docker, "quick:/data", "true")
            docker("run", "--rm", "--network=none", "--volume-driver", name, "-v", "far:/data",
                   "busybox", "true")  # fmt: skip
            assert list(plugin.volumes) == ["far"]
            docker("volume", "rm", "far", "quick")
    finally:
        file.unlink()


def test_fault_11_a_plugin_that_hangs_holds_up_nobody_else(
    docker: Cli, plugin: VolumePlugin, name: str
) -> None:
    docker("volume", "create", "-d", name, "far")
    docker("volume", "create", "near")
    released = threading.Event()
    for method in ("List", "Get"):
        plugin.methods[f"VolumeDriver.{method}"] = lambda _: {"Err": str(released.wait())[:0]}
    try:
        listed = docker("volume", "ls", "-q").split()
        assert {"near", "far"} <= set(listed)
        run(docker, "new:/data", "true")
        assert {"near", "far", "new"} <= set(docker("volume", "ls", "-q").split())
        asked = [method for method, _ in plugin.calls if method.endswith((".List", ".Get"))]
        assert asked.count("VolumeDriver.List") == 1  # once was enough to know
        assert docker("ps", "-q") == ""
    finally:
        released.set()
    plugin.methods["VolumeDriver.Get"] = lambda _: {"Volume": {"Name": "far"}}
    docker("volume", "rm", "far", "near", "new")


@pytest.mark.parametrize("place", ["/no/such/place", "relative", ""])
def test_a_plugin_that_lies_about_the_place_starts_nothing(
    docker: Cli, plugin: VolumePlugin, name: str, place: str
) -> None:
    docker("volume", "create", "-d", name, "db")
    plugin.methods["VolumeDriver.Mount"] = lambda _: {"Mountpoint": place}
    refused = docker.run("run", "--rm", "--network=none", "-v", "db:/data", "busybox", "true")
    assert refused.code in {125, 127}
    assert name in refused.err
    assert repr(place) in refused.err
    assert docker("ps", "-aq") == ""
    mounted = [r["ID"] for r in plugin.called("VolumeDriver.Mount")]
    assert [r["ID"] for r in plugin.called("VolumeDriver.Unmount")] == mounted
    assert docker("volume", "rm", "db") == "db"
