"""Mirrors of ``hosts.toml``: asked first, passed over when they fail, and never believed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import images
from support.cli import Cli
from support.daemon import free_port
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")
HOSTS = Path("/etc/docker/certs.d")
LAYERS = [images.layer([images.Entry(f"file{n}", bytes([n]) * 1000)]) for n in range(3)]


@pytest.fixture
def mirror() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_simple_image("app", "1", LAYERS)
        yield registry


@pytest.fixture
def origin() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_simple_image("app", "1", LAYERS)
        yield registry


@pytest.fixture
def mirrored(origin: FakeRegistry, docker: Cli) -> Iterator[Callable[..., str]]:
    """Return what gives the origin a mirror, and returns the name of its image."""
    directory = HOSTS / origin.host
    name = f"{origin.host}/app:1"

    def write(mirror: str, *capabilities: str) -> str:
        directory.mkdir(parents=True)
        listed = ", ".join(f'"{capability}"' for capability in capabilities)
        server, host = f"http://{origin.host}", f"http://{mirror}"
        text = f'server = "{server}"\n[host."{host}"]\ncapabilities = [{listed}]\n'
        (directory / "hosts.toml").write_text(text)
        return name

    yield write
    docker.run("rmi", "-f", name)
    shutil.rmtree(directory)


def test_a_mirror_serves_everything(
    docker: Cli, mirror: FakeRegistry, origin: FakeRegistry, mirrored: Callable[..., str]
) -> None:
    docker("pull", mirrored(mirror.host, "pull", "resolve"))
    assert origin.state.seen == []
    assert len(mirror.requests("GET", "/blobs/")) == len(LAYERS) + 1


def test_a_mirror_that_may_only_be_pulled_from_serves_what_has_a_digest(
    docker: Cli, mirror: FakeRegistry, origin: FakeRegistry, mirrored: Callable[..., str]
) -> None:
    docker("pull", mirrored(mirror.host, "pull"))
    assert len(origin.requests("GET", "/manifests/")) == 1
    assert origin.requests("GET", "/blobs/") == []
    assert mirror.requests("GET", "/manifests/1") == []
    assert len(mirror.requests("GET", "/blobs/")) == len(LAYERS) + 1


@pytest.mark.parametrize("capabilities", [("pull", "resolve"), ("pull",)])
def test_a_mirror_that_is_away_is_passed_over(
    docker: Cli, origin: FakeRegistry, mirrored: Callable[..., str], capabilities: tuple[str, ...]
) -> None:
    docker("pull", mirrored(f"127.0.0.1:{free_port()}", *capabilities))
    assert len(origin.requests("GET", "/blobs/")) == len(LAYERS) + 1


@pytest.mark.parametrize("document", [{}, {"schemaVersion": 2, "layers": 5}, {"manifests": "x"}])
def test_a_mirror_that_gives_nonsense_is_passed_over(
    docker: Cli,
    mirror: FakeRegistry,
    origin: FakeRegistry,
    mirrored: Callable[..., str],
    document: dict[str, object],
) -> None:
    mirror.add_manifest("app", "1", document)
    docker("pull", mirrored(mirror.host, "pull", "resolve"))
    assert len(origin.requests("GET", "/manifests/1")) == 1


def test_a_mirror_that_gives_other_bytes_is_passed_over(
    docker: Cli, mirror: FakeRegistry, origin: FakeRegistry, mirrored: Callable[..., str]
) -> None:
    for key in mirror.state.blobs:
        mirror.state.blobs[key] = b"y" * len(mirror.state.blobs[key])
    docker("pull", mirrored(mirror.host, "pull"))
    assert len(origin.requests("GET", "/blobs/")) == len(LAYERS) + 1
